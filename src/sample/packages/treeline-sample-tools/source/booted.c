/*
 * treeline-booted: prints what this machine has booted, one `key: value` a line: osname, ref, commit, version.
 *
 * usage: treeline-booted [ROOT]     ROOT: look below this folder instead of /
 * Exit codes: 0 booted from a deployment; 1 not an ostree system; 2 something of it cannot be read.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *root = "";

/* Writes ROOT and the parts of a path into `path`; ends the program if it does not fit. */
static void join(char path[PATH_MAX], const char *a, const char *b)
{
	int length = snprintf(path, PATH_MAX, "%s%s%s", root, a, b);

	if (length < 0 || length >= PATH_MAX) {
		fputs("treeline-booted: a path is too long\n", stderr);
		exit(2);
	}
}

/*
 * Finds the value of `key=` in a file of such words, separated by any of `separators`. The value is in `value`, without
 * quotes; returns whether there is one.
 */
static int find(const char *file, const char *separators, const char *key, char *value, size_t size)
{
	char path[PATH_MAX], text[16384];
	size_t length, key_length = strlen(key);
	char *rest = text, *word;
	FILE *stream;

	join(path, file, "");
	stream = fopen(path, "r");
	if (!stream)
		return 0;
	length = fread(text, 1, sizeof(text) - 1, stream);
	fclose(stream);
	text[length] = '\0';

	while ((word = strtok_r(rest, separators, &rest))) {
		if (strncmp(word, key, key_length) != 0 || word[key_length] != '=')
			continue;
		word += key_length + 1;
		word += strspn(word, "\"' ");
		word[strcspn(word, "\"'")] = '\0';
		length = strlen(word);
		if (length >= size)
			return 0;
		memcpy(value, word, length + 1);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	char path[PATH_MAX], link[PATH_MAX], target[PATH_MAX], origin[PATH_MAX], ref[256], version[256];
	char *name, *commit, *dot;
	ssize_t length;

	if (argc > 2) {
		fputs("usage: treeline-booted [ROOT]\n", stderr);
		return 2;
	}
	if (argc == 2)
		root = argv[1];

	join(path, "/run/ostree-booted", "");
	if (access(path, F_OK) != 0 || !find("/proc/cmdline", " \n", "ostree", link, sizeof(link))) {
		puts("not an ostree system");
		return 1;
	}

	/* /ostree/boot.1/OSNAME/BOOT/0 is a link to ../../../deploy/OSNAME/deploy/COMMIT.SERIAL */
	join(path, "/sysroot", link);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0) {
		fprintf(stderr, "treeline-booted: %s: %s\n", path, strerror(errno));
		return 2;
	}
	target[length] = '\0';
	commit = strrchr(target, '/');
	name = strstr(target, "/deploy/");
	if (!commit || !name || name == commit) {
		fprintf(stderr, "treeline-booted: %s leads to no deployment\n", path);
		return 2;
	}
	name += strlen("/deploy/");
	length = snprintf(origin, sizeof(origin), "/sysroot/ostree/deploy/%s.origin", name);
	*commit++ = '\0';
	name[strcspn(name, "/")] = '\0';
	dot = strchr(commit, '.');
	if (dot)
		*dot = '\0';

	printf("osname: %s\n", name);
	if (length > 0 && (size_t)length < sizeof(origin) && find(origin, "\n", "refspec", ref, sizeof(ref)))
		printf("ref: %s\n", ref);
	printf("commit: %s\n", commit);
	if (find("/etc/os-release", "\n", "VERSION", version, sizeof(version)))
		printf("version: %s\n", version);
	return 0;
}
