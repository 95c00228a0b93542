/* Turns: commands that only the program's own process can carry out, in the order of their queue. */
#include "turn.h"
#include "gen/messages.h"

#include <stdlib.h>

/* A turn that is enqueued. */
struct taken {
	void (*work)(void *data, const struct sl_turn_bytes *bytes);
	void (*forget)(void *data);
	void *data;
	struct sl_turn_bytes bytes;
	sl_object *gate;
};

/* Does the work where the point was reached, and opens the gate: a turn that failed fails what waits behind it. */
static void turn_end(struct taken *taken, cl_int status)
{
	if (status >= CL_COMPLETE)
		taken->work(taken->data, &taken->bytes);
	(void)sl_send_clSetUserEventStatus(taken->gate->session, NULL, taken->gate,
					   (uint64_t)(int64_t)(status < CL_COMPLETE ? status : CL_COMPLETE));
	sl_release(taken->gate);
	if (taken->forget)
		taken->forget(taken->data);
	free(taken);
}

static void CL_CALLBACK point_reached(cl_event point, cl_int status, void *data)
{
	(void)point;
	turn_end(data, status);
}

static cl_int event_wait(const sl_object *event)
{
	const cl_event list[] = {(cl_event)(uintptr_t)event};
	struct sl_slot *slot = sl_slot_take(event->session);
	return sl_finish(event->session, slot, sl_send_clWaitForEvents(event->session, slot, 1, list));
}

/* Sends the turn, and finds its bytes. */
static cl_int turn_send(const struct sl_turn *turn, const sl_object *point, struct taken *taken)
{
	struct sl_session *session = turn->queue->session;
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status = sl_wait(session, slot,
				sl_send_turn(session, slot, turn->queue, turn->mem, turn->map_flags, turn->offset,
					     turn->size, 3, turn->origin, 3, turn->region, turn->wait_count,
					     turn->wait_list, point, taken->gate, turn->event));
	uint64_t answer[3];
	memcpy(answer, slot->payload, sizeof(answer));
	sl_slot_give(session, slot);
	if (status != CL_SUCCESS || !turn->mem)
		return status;
	if (answer[0] > session->arena_size || turn->size > session->arena_size - answer[0])
		return CL_OUT_OF_RESOURCES;
	taken->bytes = (struct sl_turn_bytes){session->arena + answer[0], answer[1], answer[2]};
	return CL_SUCCESS;
}

/* Lets the turn come when it is due. Where the thread of callbacks cannot take it, it is waited for. */
static cl_int turn_follow(struct taken *taken, sl_object *point, bool blocking)
{
	if (!blocking && sl_watch_event(point, CL_COMPLETE, point_reached, taken) == CL_SUCCESS)
		return CL_SUCCESS;
	cl_int status = event_wait(point);
	turn_end(taken, status);
	return status;
}

cl_int sl_turn_take(const struct sl_turn *turn, bool blocking, bool *made)
{
	sl_object *context = turn->queue->context;
	sl_object *point = sl_event_new(context, CL_COMMAND_USER), *gate = sl_event_new(context, CL_COMMAND_USER);
	struct taken *taken = malloc(sizeof(*taken));
	*made = false;
	cl_int status = point && gate && taken ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
	if (status == CL_SUCCESS) {
		*taken = (struct taken){turn->work, turn->forget, turn->data, {0}, gate};
		status = turn_send(turn, point, taken);
	}
	if (status != CL_SUCCESS) {
		sl_discard(point);
		sl_discard(gate);
		free(taken);
		if (turn->forget)
			turn->forget(turn->data);
		return status;
	}
	*made = true;
	status = turn_follow(taken, point, blocking);
	sl_release(point);
	/* Whoever looks at the event of a command that was waited for finds it complete. */
	if (status == CL_SUCCESS && blocking && turn->event)
		status = event_wait(turn->event);
	return status;
}
