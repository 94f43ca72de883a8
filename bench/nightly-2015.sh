#!/usr/bin/env bash
# The nightly of the sample distribution as one sequential script, in the order of CentOS Atomic's of 2015: one lock file,
# an emptied work folder, the tree, the commit, one image after the other, one boot test after the other, signatures,
# the whole repo to the target. Same tools, options and compression as the workflow; what is TypeScript there (the tree's ostree
# layout, images, boot test) is the very same code, called by `piece.js`. main.ts sets the variables.
set -euo pipefail
: "${WORK:?}" "${TARGET:?}" "${BASEURL:?}" "${PACKAGE_KEY:?}" "${RELEASEVER:?}" "${PACKAGES:?}" "${UNITS:?}" "${DEFAULT_TARGET:?}"
: "${INITRAMFS_ARGS?}" "${POSTPROCESS:?}" "${REF:?}" "${VERSION:?}" "${KEY:?}" "${KEY_HOME:?}" "${IMAGES:?}" "${BOOT:?}"
: "${NODE:?}" "${PIECE:?}" "${RPMDB:?}"

stage() { printf '%s %s\n' "$(date +%s.%N)" "$*"; }

stage start
mkdir -p "$(dirname "$WORK")"
exec 9>"$WORK.lock"
flock -n 9 || { echo 'another build is running' >&2; exit 1; }
rm -rf "$WORK"
tree=$WORK/tree repo=$WORK/repo out=$WORK/images
mkdir -p "$WORK/home" "$out" "$tree"/{dev,proc,sys,run,tmp,usr/share/rpm}
for name in bin sbin lib lib64; do mkdir -p "$tree/usr/$name"; ln -s "usr/$name" "$tree/$name"; done

stage pull
ostree --repo="$repo" init --mode=archive
parent=()
if [ -f "$TARGET/repo/summary" ]; then
  # As it was: without a look at the signatures.
  ostree --repo="$repo" remote add --no-gpg-verify published "file://$TARGET/repo"
  ostree --repo="$repo" pull --mirror published "$REF"
  parent=(--parent="$(ostree --repo="$repo" rev-parse "$REF")")
fi

stage install
isolation=(--unshare-pid --unshare-ipc --unshare-uts --die-with-parent)
for capability in CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD SETFCAP SETGID SETUID SYS_CHROOT; do
  isolation+=(--cap-add "CAP_$capability")
done
cat >"$WORK/dnf.conf" <<END
[main]
plugins=0
reposdir=$WORK/none
gpgcheck=1
install_weak_deps=0
best=1
tsflags=nodocs
max_parallel_downloads=8
[sample]
name=sample
baseurl=$BASEURL
gpgcheck=1
repo_gpgcheck=1
gpgkey=file://$PACKAGE_KEY
END
echo '%_dbpath /usr/share/rpm' >"$WORK/home/.rpmmacros"
export SOURCE_DATE_EPOCH=1700000000
# shellcheck disable=SC2086 # lists of plain words
HOME=$WORK/home bwrap --dev-bind / / --dev "$tree/dev" --proc "$tree/proc" --tmpfs "$tree/tmp" --tmpfs "$tree/run" "${isolation[@]}" -- \
  dnf --quiet --assumeyes --config "$WORK/dnf.conf" --installroot "$tree" --releasever "$RELEASEVER" \
  --setopt=cachedir="$WORK/cache" --setopt=keepcache=1 install $PACKAGES
rm -rf "$tree"/var/{lib,cache}/dnf "$tree"/var/log/{dnf,hawkey}*

stage tree
inside() {
  env -i HOME=/tmp PATH=/usr/sbin:/usr/bin LANG=C.UTF-8 SOURCE_DATE_EPOCH=1700000000 \
    bwrap --bind "$tree" / --dev /dev --proc /proc --tmpfs /tmp --tmpfs /run --unshare-net "${isolation[@]}" -- "$@"
}
# shellcheck disable=SC2086
inside systemctl enable -- $UNITS
inside systemctl set-default -- "$DEFAULT_TARGET"
install -m 700 "$POSTPROCESS" "$tree/usr/.postprocess"
inside /usr/.postprocess
rm "$tree/usr/.postprocess"
kernel=$(ls "$tree/usr/lib/modules")
inside depmod "$kernel"
# shellcheck disable=SC2086
inside dracut --quiet --reproducible --force $INITRAMFS_ARGS --tmpdir /tmp --kver "$kernel" "/usr/lib/modules/$kernel/initramfs.img"
chmod 600 "$tree/usr/lib/modules/$kernel/initramfs.img"
python3 -I "$RPMDB" "$tree/usr/share/rpm"
"$NODE" "$PIECE" layout "$tree"

stage commit
commit=$(ostree --repo="$repo" commit --branch="$REF" "${parent[@]}" --bootable --tree=dir="$tree" --subject="$VERSION" \
  --add-metadata-string=version="$VERSION")
ostree --repo="$repo" gpg-sign --gpg-homedir="$KEY_HOME" "$commit" "$KEY"
ostree --repo="$repo" summary --update --gpg-sign="$KEY" --gpg-homedir="$KEY_HOME"

for kind in $IMAGES; do
  stage "image $kind"
  "$NODE" "$PIECE" image "$kind" "$repo" "$commit" "$WORK/work-$kind" "$out"
done
if [ "$BOOT" = yes ]; then
  for kind in $IMAGES; do
    stage "boot $kind"
    "$NODE" "$PIECE" boot "$kind" "$commit" "$WORK/boot-$kind" "$out"
  done
fi

stage sign
sign() { gpg --homedir "$KEY_HOME" --batch --no-tty --yes --local-user "$KEY" --armor --output "$2.asc" "$1" "$2"; }
cd "$out"
files=(*)
sha256sum "${files[@]}" >sha256sum.txt
for file in "${files[@]}"; do sign --detach-sign "$file"; done
sign --clearsign sha256sum.txt

stage push
mkdir -p "$TARGET"
rsync -a --delete "$repo" "$TARGET/"
rsync -a --delete "$out" "$TARGET/"
stage end
# Outside of the measured time: was it the same work?
echo "packages $(rpm --dbpath "$tree/usr/share/rpm" --query --all --queryformat '%{NAME}\n' | grep -vc '^gpg-pubkey$')"
