/* The files that a program includes. */
#ifndef SL_INCLUDE_H
#define SL_INCLUDE_H

#include "shim.h"

/* What travels with a build. */
struct sl_included {
	uint8_t *bytes; /* the entries; none where the program includes nothing */
	size_t length, room;
	char *rest; /* the options but for the folders of included files */
};

/*
 * Finds the files that the program and its headers may include, in the working folder and the options' folders.
 * The caller frees what was found.
 */
cl_int sl_included_find(struct sl_included *found, const char *options, const sl_object *program, cl_uint header_count,
			const cl_program *headers);
void sl_included_free(struct sl_included *found);

#endif
