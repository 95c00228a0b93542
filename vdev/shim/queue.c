/* What the shim knows of a queue's progress: while all of its commands are over, a thread may do the next one's work.
 */
#include "gen/calls.h"
#include "gen/messages.h"

bool sl_queue_in_order(const sl_object *queue)
{
	return !(queue->as.queue.flags & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
}

/* Counts a command that is about to be sent, which waits for who stands in for one. The caller holds the ring. */
void sl_queue_feed(sl_object *queue)
{
	while (queue->as.queue.taken)
		pthread_cond_wait(&queue->session->untaken, &queue->session->ring);
	queue->as.queue.sent++;
	if (!queue->as.queue.fed) {
		queue->as.queue.fed = true;
		queue->as.queue.feeder = pthread_self();
	} else if (!pthread_equal(queue->as.queue.feeder, pthread_self())) {
		queue->as.queue.several = true;
	}
}

/*
 * Has the calling thread stand in for the queue's next command, until it leaves: the commands that are sent meanwhile
 * wait. Returns false where a command may not be over, or the worker is gone.
 */
bool sl_queue_take(sl_object *queue)
{
	struct sl_session *session = queue->session;
	if (!sl_session_alive(session))
		return false;
	pthread_mutex_lock(&session->ring);
	while (queue->as.queue.taken)
		pthread_cond_wait(&session->untaken, &session->ring);
	bool over = queue->as.queue.sent == queue->as.queue.over;
	queue->as.queue.taken = over;
	pthread_mutex_unlock(&session->ring);
	return over;
}

void sl_queue_leave(sl_object *queue)
{
	struct sl_session *session = queue->session;
	pthread_mutex_lock(&session->ring);
	queue->as.queue.taken = false;
	pthread_cond_broadcast(&session->untaken);
	pthread_mutex_unlock(&session->ring);
}

/*
 * Whether a thread may stand in for a command with these: one that waits for events is the driver's, and one whose
 * event is to tell times, too.
 */
bool sl_queue_stands_in(const sl_object *queue, cl_uint wait_count, const sl_object *event)
{
	return !wait_count && !(event && queue->as.queue.flags & CL_QUEUE_PROFILING_ENABLE);
}

/* Makes the event of a command that is over. made says whether the worker has been told of it. */
cl_int sl_event_over(const sl_object *event, bool *made)
{
	cl_int status = sl_send_clCreateUserEvent(event->session, NULL, event->context, event);
	*made = status == CL_SUCCESS;
	return *made ? sl_send_clSetUserEventStatus(event->session, NULL, event, CL_COMPLETE) : status;
}

static void queue_sent(sl_object *queue, uint64_t *sent, bool *several)
{
	pthread_mutex_lock(&queue->session->ring);
	*sent = queue->as.queue.sent;
	*several = queue->as.queue.several;
	pthread_mutex_unlock(&queue->session->ring);
}

static void queue_over(sl_object *queue, uint64_t sent)
{
	pthread_mutex_lock(&queue->session->ring);
	if (queue->as.queue.over < sent)
		queue->as.queue.over = sent;
	pthread_mutex_unlock(&queue->session->ring);
}

/*
 * Waits for the commands that were sent before. The status may be an earlier command's refusal; outlasted says whether
 * the commands are over.
 */
static cl_int queue_outlast(sl_object *queue, bool *outlasted)
{
	struct sl_session *session = queue->session;
	uint64_t sent;
	bool several;
	queue_sent(queue, &sent, &several);
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status = sl_finish_command(session, slot, sl_send_outlast(session, slot, queue, several), outlasted);
	if (*outlasted)
		queue_over(queue, sent);
	return status;
}

/*
 * Takes the queue; where it is in order and the caller's program waits anyway, when its commands are over. earlier is
 * what one of them was refused for.
 */
bool sl_queue_take_after(sl_object *queue, bool waits, cl_int *earlier)
{
	bool outlasted;
	if (sl_queue_take(queue))
		return true;
	if (!waits || !sl_queue_in_order(queue))
		return false;
	*earlier = queue_outlast(queue, &outlasted);
	return outlasted && sl_queue_take(queue);
}

cl_int CL_API_CALL sl_clFinish(cl_command_queue command_queue)
{
	sl_object *queue = sl_find(command_queue, SL_QUEUE);
	if (!queue)
		return CL_INVALID_COMMAND_QUEUE;
	if (sl_queue_take(queue)) {
		sl_queue_leave(queue);
		return CL_SUCCESS;
	}
	struct sl_session *session = queue->session;
	uint64_t sent;
	bool several, finished;
	queue_sent(queue, &sent, &several);
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status = sl_finish_command(session, slot, sl_send_clFinish(session, slot, queue), &finished);
	if (finished)
		queue_over(queue, sent);
	return status;
}
