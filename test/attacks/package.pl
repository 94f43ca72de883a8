# What a malicious package tries as root, in a scriptlet or a post-process script. Perl without any module, not even `strict`: it runs in a tiny tree.
# usage: package.pl CONFIG RESULT [harmless]
# CONFIG: lines `key=value` of what is there on the host. RESULT: a line `name<TAB>got|refused<TAB>why` for each attack.
# With `harmless` only what harms no host is tried: so it is seen that each of these succeeds where nothing is in its way.
my ($config, $result, $harmless) = @ARGV;
open(my $in, '<', $config) or die "$config: $!";
my %host = map { chomp; split /=/, $_, 2 } <$in>;
my @attacks;
sub attack { my ($name, $try, $is_harmless) = @_; push @attacks, [$name, $try, $is_harmless // 0] }
sub contents { my ($path) = @_; open(my $file, '<', $path) or return undef; local $/ = \4096; return <$file> }
sub writes { my ($path, $text) = @_; open(my $file, '>', $path) or return 0; return syswrite($file, $text) ? 1 : 0 }
sub entries { my ($folder) = @_; opendir(my $open, $folder) or return (); map { "$folder/$_" } grep { !/^\.\.?$/ } readdir $open }
sub of_processes { my ($what) = @_; map { "$_/$what" } grep { m{/\d+$} } entries('/proc') }
sub called { my $got = syscall(shift, @_); return $got >= 0 ? ($got || '0 but true') : 0 }

# The host's files, by every door of /proc.
attack('read a file of the host', sub { (contents($host{secret}) // '') =~ /canary/ }, 1);
attack('write beside a file of the host', sub { writes("$host{secret}.written", 'x') });
for my $door ('/proc/1/root', '/proc/self/root', '/proc/thread-self/root', "/proc/@{[getppid]}/root", '/proc/1/cwd', "/proc/@{[getppid]}/cwd/../../../../..") {
  my $try = $door;
  attack("read it by $try", sub { (contents("$try$host{secret}") // '') =~ /canary/ }, $try eq '/proc/self/root');
}
attack('read it by an open folder of another process', sub {
  for my $fd (map { entries($_) } of_processes('fd')) { return 1 if (contents("$fd$host{secret}") // contents("$fd/../../../..$host{secret}") // '') =~ /canary/ }
  0;
});
attack('see a process of the host', sub { my $line = contents("/proc/$host{pid}/cmdline") // ''; index($line, $host{cmdline}) >= 0 }, 1);
attack('see more than the processes of the sandbox', sub { grep { /canary/ } map { contents($_) // '' } of_processes('environ') }, 1);
attack('write the memory of the program that installs it', sub { open(my $file, '+<', "/proc/@{[getppid]}/mem") or return 0; 1 });
attack('leave the tree by its own program', sub { -e '/tree' || -e '/programs' || -e '/packages' });

# Links and folders that lead out where somebody follows them: the test looks at the host afterwards.
attack('leave by ..', sub { (contents('../../../../../../../../..' . $host{secret}) // '') =~ /canary/ }, 1);
attack('change its root', sub { mkdir '/usr/jail'; chroot('/usr/jail') });

# Kernel settings and devices. What is there already is written, so that a success harms nobody.
for my $setting ('kernel/core_pattern', 'kernel/modprobe', 'kernel/hostname', 'vm/overcommit_memory', 'fs/suid_dumpable', 'kernel/yama/ptrace_scope', 'net/ipv4/ip_forward') {
  attack("write /proc/sys/$setting", sub { my $text = contents("/proc/sys/$setting") // 'x'; writes("/proc/sys/$setting", $text) });
}
attack('write /proc/sysrq-trigger', sub { writes('/proc/sysrq-trigger', 'h') });
attack('write its own oom score below what it may', sub { writes('/proc/self/oom_score_adj', '-1000') });
attack('write the mapping of users', sub { writes('/proc/self/uid_map', '0 0 1') });
attack("open $_", do { my $path = $_; sub { open(my $file, '+<', $path) or return 0; 1 } })
  for qw(/dev/kmsg /dev/mem /dev/kvm /dev/vda /dev/sda /dev/loop-control /dev/fuse /dev/mapper/control /sys/kernel/uevent_helper /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/release_agent);
attack('make the device of the first disk', sub { called(133, '/usr/disk', 0060600, 0xfe00) });
attack('make the device of the memory', sub { called(133, '/usr/memory', 0020600, 0x101) });

# Mounts and namespaces.
my $none = pack('x8');
attack('mount a file system in memory', sub { called(165, 'none', '/usr', 'tmpfs', 0, 0) });
attack('bind a folder', sub { called(165, '/usr', '/etc', 'none', 0x1000, 0) });
attack('make /proc writable', sub { called(165, 'none', '/proc', 'none', 0x1020, 0) });
attack('make mounts shared', sub { called(165, 'none', '/', 'none', 0x104000, 0) });
attack('unmount /proc', sub { called(166, '/proc', 2) });
attack('move the root', sub { called(155, '/usr', '/usr') });
attack('open_tree', sub { called(428, -100, '/usr', 1) });
attack('move_mount', sub { called(429, -100, '/proc', -100, '/usr', 0) });
attack('fsopen', sub { called(430, 'tmpfs', 0) });
attack('fspick', sub { called(433, -100, '/', 0) });
attack('mount_setattr', sub { called(442, -100, '/', 0, $none x 4, 32) });
my %namespaces = (mount => 0x20000, cgroup => 0x2000000, uts => 0x4000000, ipc => 0x8000000, user => 0x10000000, pid => 0x20000000, network => 0x40000000);
attack("unshare the $_ namespace", do { my $flag = $namespaces{$_}; sub { called(272, $flag) } }) for sort keys %namespaces;
attack('enter the namespaces of another process', sub {
  for my $file (map { entries($_) } of_processes('ns')) { open(my $ns, '<', $file) or next; return 1 if called(308, fileno($ns), 0) }
  0;
});
attack('clone3', sub { called(435, $none x 11, 88) });

# Other processes, the kernel, keys.
attack('trace the program that installs it', sub { called(101, 16, getppid, 0, 0) });
attack('trace the first process', sub { called(101, 0x4206, 1, 0, 0) });
attack('read the memory of the program that installs it', sub { called(310, getppid, $none x 2, 1, $none x 2, 1, 0) });
attack('write the memory of the first process', sub { called(311, 1, $none x 2, 1, $none x 2, 1, 0) });
attack('take an open file of another process', sub { my $fd = syscall(434, getppid, 0); return 0 if $fd < 0; called(438, $fd, 0, 0) });
attack('load a kernel module', sub { called(175, $none, 8, '') });
attack('load a kernel module from a file', sub { open(my $file, '<', '/etc/passwd'); called(313, fileno($file), '', 0) });
attack('remove a kernel module', sub { called(176, 'no_such_module', 0) });
attack('load a kernel', sub { called(246, 0, 0, 0, 0) });
attack('load a kernel from a file', sub { called(320, -1, -1, 0, '', 0) });
attack('reboot', sub { called(169, 0xfee1dead, 672274793, 0, 0) });
attack('set the clock', sub { called(227, 0, pack('qq', time, 0)) });
attack('adjust the clock', sub { called(159, pack('q26', 1)) });
attack('set the host name', sub { called(170, 'owned', 5) });
attack('set the domain name', sub { called(171, 'owned', 5) });
attack('swap', sub { called(167, '/etc/passwd', 0) });
attack('account processes', sub { called(163, '/usr/accounts') });
attack('read the kernel log', sub { my $room = ' ' x 4096; called(103, 3, $room, 4096) });
attack('reach ports of the machine', sub { called(172, 3) });
attack('reach a port of the machine', sub { called(173, 0x80, 1, 1) });
attack('open a file by its handle', sub { called(304, -100, $none x 4, 0) });
attack('watch all files', sub { called(300, 0, 0) });
attack('quotas', sub { called(179, 0x800001, '', 0, $none) });
attack('bpf', sub { called(321, 0, pack('L4x64', 1, 4, 4, 1), 72) });
attack('measure others', sub { called(298, pack('LLx120', 1, 128), -1, 0, -1, 0) });
attack('userfaultfd', sub { called(323, 0) });
attack('io_uring', sub { called(425, 1, $none x 16) });
attack('add a key', sub { called(248, 'user', 'owned', 'x', 1, -3) });
attack('ask for a key', sub { called(249, 'user', 'owned', 0, 0) });
attack('read keys', sub { my $room = ' ' x 1024; called(250, 11, -4, $room, 1024) });
attack('hang up the terminal', sub { called(153) });
attack('type into a terminal', sub { my $key = 'x'; ioctl(STDIN, 0x5412, $key) ? 1 : 0 });
attack('type into a terminal, with other high bits', sub { my $key = 'x'; called(16, 0, 4294988818, $key) });
attack('compare the kernel objects of processes', sub { called(312, $$, getppid, 0, 0, 0) });

# Powers.
attack('take all capabilities', sub { called(126, pack('LL', 0x20080522, 0), pack('L6', (~0 & 0xffffffff) x 6)) });
attack('keep capabilities for others', sub { called(157, 47, 2, 21, 0, 0) });
attack('have a capability that is not files’', sub { my ($all) = (contents('/proc/self/status') // '') =~ /^CapEff:\s*(\w+)/m; (hex($all) & ~0x800000fb) != 0 }, 1);
attack('be permitted a capability that is not files’', sub { my ($all) = (contents('/proc/self/status') // '') =~ /^CapPrm:\s*(\w+)/m; (hex($all) & ~0x800000fb) != 0 }, 1);
attack('gain a privilege by a program that has more', sub { ((contents('/proc/self/status') // '') =~ /^NoNewPrivs:\s*1/m) ? 0 : 1 }, 1);
attack('raise its limits', sub { called(160, 9, pack('QQ', ~0, ~0)) });
attack('raise the limit of file sizes', sub { called(160, 1, pack('QQ', ~0, ~0)) });

# The network and sockets of the host.
sub connects { my ($family, $type, $address) = @_; socket(my $s, $family, $type, 0) or return 0; connect($s, $address) ? 1 : 0 }
attack('connect to a server of the host', sub { connects(2, 1, pack('S n C4 x8', 2, $host{port}, 127, 0, 0, 1)) }, 1);
attack('connect to it by IPv6', sub { connects(10, 1, pack('S n N n8 N', 10, $host{port}, 0, 0, 0, 0, 0, 0, 0xffff, 0x7f00, 1, 0)) });
attack('connect to a socket of the host by its path', sub { connects(1, 1, pack('S Z*', 1, $host{socket})) }, 1);
attack('reach another machine', sub { connects(2, 2, pack('S n C4 x8', 2, 53, 192, 0, 2, 1)) });
attack("open a socket of family $_", do { my $family = $_; sub { my $s; (grep { socket($s, $family, $_, 0) } 1, 2, 3) ? 1 : 0 } })
  for (17, 21, 29, 31, 38, 40, 44);
attack('rename the network device', sub { socket(my $s, 2, 2, 0) or return 0; my $request = pack('a16 a16', 'lo', 'owned'); ioctl($s, 0x8923, $request) ? 1 : 0 });

open(my $out, '>', $result) or die "$result: $!";
for (@attacks) {
  my ($name, $try, $is_harmless) = @$_;
  next if $harmless && !$is_harmless;
  $! = 0;
  my $got = eval { $try->() };
  my $why = $@ || $!;
  $why =~ s/\s+/ /g;
  print $out join("\t", $name, $got ? 'got' : 'refused', $why), "\n";
}
close($out) or die "$result: $!";
