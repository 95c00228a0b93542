/* A turn: a point in a queue at which the program's own process does a command's work. */
#ifndef SL_TURN_H
#define SL_TURN_H

#include "shim.h"

/* The bytes of the turn's memory object; an image's have the pitches of its map. */
struct sl_turn_bytes {
	uint8_t *first; /* NULL without a memory object */
	size_t row_pitch, slice_pitch;
};

struct sl_turn {
	sl_object *queue;
	sl_object *mem; /* whose bytes the turn reads or writes, or NULL */
	cl_map_flags map_flags;
	size_t offset, size;
	const size_t *origin, *region; /* of an image, in place of offset and size */
	cl_uint wait_count;
	const cl_event *wait_list;
	sl_object *event; /* the command's, or NULL */
	void (*work)(void *data, const struct sl_turn_bytes *bytes);
	void *data;
	void (*forget)(
		void *data); /* called last, whether there was a turn or not; NULL where nothing is to be freed */
};

/*
 * Enqueues the turn. Its work is done on the thread of callbacks, or before this returns where blocking is true; the
 * queue's later commands and the command's event wait for it.
 * made says whether the driver accepted the command, so that its event exists whatever became of it.
 */
cl_int sl_turn_take(const struct sl_turn *turn, bool blocking, bool *made);

#endif
