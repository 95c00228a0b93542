/* The files that a program includes: the worker cannot read them, so they travel with the build. */
#include "include.h"
#include "gen/calls.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FOLDERS_MAX 64

/* Where files are looked for, in order, and those found. */
struct search {
	struct sl_included *found;
	unsigned folder_count, file_count;
	char *folders[FOLDERS_MAX];
	char *files[SL_INCLUDED_MAX];
};

static bool text_append(struct sl_included *to, const void *text, size_t length)
{
	if (to->length + length > to->room) {
		size_t room = 2 * (to->length + length);
		uint8_t *grown = realloc(to->bytes, room);
		if (!grown)
			return false;
		to->bytes = grown;
		to->room = room;
	}
	memcpy(to->bytes + to->length, text, length);
	to->length += length;
	return true;
}

/* An entry: u32 kind, u32 length of the path, u64 length of the text, the path, the text. */
static bool entry_append(struct sl_included *to, uint32_t kind, const char *path, const void *text, size_t length)
{
	uint32_t head[2] = {kind, (uint32_t)strlen(path)};
	uint64_t size = length;
	return text_append(to, head, sizeof(head)) && text_append(to, &size, sizeof(size)) &&
	       text_append(to, path, head[1]) && text_append(to, text, length);
}

static bool folder_add(struct search *search, const char *working, const char *spelled, size_t length)
{
	char *folder = NULL, *given = strndup(spelled, length);
	bool added = false;
	if (given && search->folder_count < FOLDERS_MAX &&
	    asprintf(&folder, "%s%s%s", *given == '/' ? "" : working, *given == '/' ? "" : "/", given) >= 0) {
		search->folders[search->folder_count++] = folder;
		added = entry_append(search->found, SL_INCLUDED_FOLDER, folder, given, length);
	}
	free(given);
	return added;
}

/*
 * Takes the folders out of the options: -I FOLDER and -IFOLDER. The rest stays as it is. PoCL looks into the working
 * folder before any other.
 */
static bool options_split(struct search *search, const char *options, char *rest)
{
	char working[PATH_MAX];
	if (!getcwd(working, sizeof(working)) || !folder_add(search, working, ".", 1))
		return false;
	bool wanted = false;
	while (*options) {
		size_t spaces = strspn(options, " \t\n"), length = strcspn(options + spaces, " \t\n");
		const char *word = options + spaces;
		bool named = wanted || (length > 2 && strncmp(word, "-I", 2) == 0), flag = length == 2 && *word == '-';
		if (named && length &&
		    !folder_add(search, working, wanted ? word : word + 2, wanted ? length : length - 2))
			return false;
		flag = !named && flag && word[1] == 'I';
		if (!named && !flag) {
			memcpy(rest, options, spaces + length);
			rest += spaces + length;
		}
		wanted = flag;
		options = word + length;
	}
	*rest = 0;
	return true;
}

/* Reads a file whole. Returns NULL where there is none, or no room. */
static char *file_read(const char *path, size_t most, size_t *length)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return NULL;
	char *text = NULL;
	/* Of a folder the end is far beyond any limit. */
	long end = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
	if (end >= 0 && (size_t)end < most && fseek(file, 0, SEEK_SET) == 0)
		text = malloc((size_t)end + 1);
	if (text) {
		*length = fread(text, 1, (size_t)end, file);
		text[*length] = 0;
	}
	fclose(file);
	return text;
}

static bool scan(struct search *search, const char *folder, const char *text, unsigned depth);

/* Adds the file of that name in a folder, where there is one, with the files that it includes in turn. */
static bool file_add(struct search *search, const char *folder, const char *name, size_t length, unsigned depth)
{
	char *path = NULL, *text;
	size_t size = 0;
	if (asprintf(&path, "%s/%.*s", folder, (int)length, name) < 0)
		return false;
	for (unsigned i = 0; i < search->file_count; i++) {
		if (strcmp(search->files[i], path) == 0) {
			free(path);
			return true;
		}
	}
	if (strlen(path) >= PATH_MAX ||
	    !(text = file_read(path, SL_INCLUDED_BYTES_MAX - search->found->length, &size))) {
		free(path);
		return true;
	}
	bool added =
		search->file_count < SL_INCLUDED_MAX && entry_append(search->found, SL_INCLUDED_FILE, path, text, size);
	if (added) {
		search->files[search->file_count++] = path;
		char *own = strndup(path, (size_t)(strrchr(path, '/') - path));
		added = own && scan(search, own, text, depth + 1);
		free(own);
	} else {
		free(path);
	}
	free(text);
	return added;
}

/* The next name that a text includes, whatever the conditions around it. Moves the text behind it. */
static const char *include_next(const char **text, size_t *length, bool *quoted)
{
	for (const char *p = *text; (p = strchr(p, '#'));) {
		p += 1 + strspn(p + 1, " \t");
		if (strncmp(p, "include", 7) != 0)
			continue;
		p += 7 + strspn(p + 7, " \t");
		if (*p != '"' && *p != '<')
			continue;
		*quoted = *p == '"';
		*length = strcspn(p + 1, *quoted ? "\"\n" : ">\n");
		*text = p + 1 + *length;
		if (*length)
			return p + 1;
		p = *text;
	}
	return NULL;
}

/* Looks for all that a text may include. Folder is where the text itself is, or NULL. */
static bool scan(struct search *search, const char *folder, const char *text, unsigned depth)
{
	const char *name;
	size_t length;
	bool quoted;
	if (depth > SL_INCLUDED_DEPTH_MAX)
		return true;
	while ((name = include_next(&text, &length, &quoted))) {
		if (*name == '/') {
			if (!file_add(search, "", name + 1, length - 1, depth))
				return false;
			continue;
		}
		if (quoted && folder && !file_add(search, folder, name, length, depth))
			return false;
		for (unsigned i = 0; i < search->folder_count; i++)
			if (!file_add(search, search->folders[i], name, length, depth))
				return false;
	}
	return true;
}

static bool program_scan(struct search *search, const sl_object *program)
{
	size_t size = 0;
	cl_program handle = (cl_program)(uintptr_t)program;
	if (!program->as.program.includes ||
	    sl_clGetProgramInfo(handle, CL_PROGRAM_SOURCE, 0, NULL, &size) != CL_SUCCESS)
		return true;
	char *source = calloc(1, size + 1);
	bool scanned = source && (sl_clGetProgramInfo(handle, CL_PROGRAM_SOURCE, size, source, NULL) != CL_SUCCESS ||
				  scan(search, NULL, source, 0));
	free(source);
	return scanned;
}

cl_int sl_included_find(struct sl_included *found, const char *options, const sl_object *program, cl_uint header_count,
			const cl_program *headers)
{
	*found = (struct sl_included){0};
	bool includes = program->as.program.includes;
	for (cl_uint i = 0; i < header_count; i++)
		includes |= ((const sl_object *)(void *)headers[i])->as.program.includes;
	if (!includes)
		return CL_SUCCESS;
	struct search *search = calloc(1, sizeof(*search));
	found->rest = malloc(strlen(options) + 1);
	bool right = search && found->rest;
	if (right) {
		search->found = found;
		right = options_split(search, options, found->rest) && program_scan(search, program);
	}
	for (cl_uint i = 0; right && i < header_count; i++)
		right = program_scan(search, (const sl_object *)(void *)headers[i]);
	for (unsigned i = 0; search && i < search->folder_count; i++)
		free(search->folders[i]);
	for (unsigned i = 0; search && i < search->file_count; i++)
		free(search->files[i]);
	free(search);
	if (!right)
		sl_included_free(found);
	return right ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
}

void sl_included_free(struct sl_included *found)
{
	free(found->bytes);
	free(found->rest);
	*found = (struct sl_included){0};
}
