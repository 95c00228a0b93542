/* A transfer between the program's memory and a memory object. */
#ifndef SL_TRANSFER_H
#define SL_TRANSFER_H

#include "shim.h"

struct sl_transfer {
	sl_object *queue, *mem;
	cl_command_type command;
	bool blocking, read;
	size_t offset, size;
	cl_uint wait_count;
	const cl_event *wait_list;
	sl_object *event;
	struct sl_layout layout;
	const size_t *origin, *region; /* of a rectangle or an image; NULL for plain bytes */
	size_t buffer_row_pitch, buffer_slice_pitch;
	cl_int earlier; /* what an earlier command was refused for, learnt on the way */
	bool made;	/* the driver accepted the command, whatever became of it */
};

/* What any transfer refuses: memory of another context or of the other kind, flags, wait list. */
cl_int sl_transfer_check(const struct sl_transfer *t, cl_mem_flags forbidden, bool image);

/* Carries the transfer out; event is where the program wants its event, or NULL. */
cl_int sl_transfer(struct sl_transfer *t, void *pointer, cl_event *event);

/* Gives up the event of a transfer that the program is told has failed. */
void sl_transfer_abandon(const struct sl_transfer *t);

#endif
