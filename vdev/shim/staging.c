/* Places for the bytes of transfers: a window of the segment for small ones, the arena for large ones. */
#include "gen/messages.h"
#include "trace.h"

/*
 * The race detector sees this process alone. What orders the copy into a place before the place's next use passes
 * through the worker, which reads the frame and writes the ticket's word, so the detector is told.
 */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define DETECTOR_ACQUIRE(word) __tsan_acquire((void *)(word))
#define DETECTOR_RELEASE(word) __tsan_release((void *)(word))
#else
#define DETECTOR_ACQUIRE(word) ((void)(word))
#define DETECTOR_RELEASE(word) ((void)(word))
#endif

static _Atomic uint32_t *ticket_word(struct sl_session *session, uint32_t ticket)
{
	return (_Atomic uint32_t *)(void *)(session->segment + SL_TICKET_OFFSET + 4 * ticket);
}

/* How the ticket's transfer ended, an SL_TICKET_*; 0 where it has not. */
static uint32_t ticket_state(struct sl_session *session, uint32_t ticket)
{
	_Atomic uint32_t *word = ticket_word(session, ticket);
	uint32_t state = atomic_load(word);
	if (state)
		DETECTOR_ACQUIRE(word);
	return state;
}

static bool ticket_take(struct sl_session *session, uint32_t *ticket)
{
	for (uint32_t i = 0; i < SL_TICKET_COUNT / 64; i++) {
		if (session->tickets_taken[i] == UINT64_MAX)
			continue;
		unsigned bit = (unsigned)__builtin_ctzll(~session->tickets_taken[i]);
		session->tickets_taken[i] |= 1ULL << bit;
		*ticket = i * 64 + bit;
		atomic_store(ticket_word(session, *ticket), 0);
		return true;
	}
	return false;
}

static void ticket_give(struct sl_session *session, uint32_t ticket)
{
	session->tickets_taken[ticket / 64] &= ~(1ULL << (ticket % 64));
}

/* Frees the oldest places whose transfers are over. */
static void window_trim(struct sl_session *session)
{
	while (session->staged_count) {
		struct sl_staged *oldest = &session->staged[session->staged_first];
		if (oldest->ticket && ticket_state(session, oldest->ticket - 1)) {
			ticket_give(session, oldest->ticket - 1);
			oldest->ticket = 0;
			oldest->left = true;
		}
		if (!oldest->left)
			return;
		session->staging_used -= oldest->size;
		session->staged_first = (session->staged_first + 1) % SL_STAGED_MAX;
		session->staged_count--;
	}
	session->staging_head = 0;
}

/* A place of size bytes at the window's head; what is left at its end is skipped where it is too short. */
static bool window_take(struct sl_session *session, size_t size, struct sl_pending *pending)
{
	uint32_t length = (uint32_t)((size + 63) & ~(size_t)63);
	window_trim(session);
	uint32_t at = session->staging_head, skipped = 0;
	if (at + length > SL_STAGING_SIZE) {
		skipped = (uint32_t)SL_STAGING_SIZE - at;
		at = 0;
	}
	if (session->staged_count == SL_STAGED_MAX || session->staging_used + skipped + length > SL_STAGING_SIZE)
		return false;
	struct sl_staged *staged = &session->staged[(session->staged_first + session->staged_count) % SL_STAGED_MAX];
	*staged = (struct sl_staged){.begin = at, .size = skipped + length};
	session->staged_count++;
	session->staging_used += skipped + length;
	session->staging_head = at + length;
	pending->place = SL_PLACE_STAGING;
	pending->offset = at;
	pending->staged = staged;
	return true;
}

/*
 * Finds a place in the window. With keep the place belongs to a transfer that nobody waits for and has a ticket; a
 * write's place is given back by its ticket alone. Returns false where the window or the tickets are used up.
 */
bool sl_stage(struct sl_session *session, size_t size, bool keep, struct sl_pending *pending)
{
	bool found = false;
	pthread_mutex_lock(&session->staging);
	if (!keep || ticket_take(session, &pending->ticket)) {
		found = window_take(session, size, pending);
		if (keep && !found)
			ticket_give(session, pending->ticket);
	}
	if (found && keep && !pending->destination)
		pending->staged->ticket = pending->ticket + 1;
	pthread_mutex_unlock(&session->staging);
	return found;
}

/* Gives back a place of the window that has no ticket. */
void sl_unstage(struct sl_session *session, struct sl_pending *pending)
{
	pthread_mutex_lock(&session->staging);
	pending->staged->left = true;
	window_trim(session);
	pthread_mutex_unlock(&session->staging);
}

/* Finds a place in the arena, with a ticket; waits for a ticket where all are taken. */
cl_int sl_stage_large(struct sl_session *session, size_t size, struct sl_pending *pending)
{
	cl_int status = sl_reserve(session, size, &pending->offset);
	if (status != CL_SUCCESS)
		return status;
	pending->place = SL_PLACE_ARENA;
	pending->staged = NULL;
	for (;;) {
		pthread_mutex_lock(&session->staging);
		window_trim(session);
		bool found = ticket_take(session, &pending->ticket);
		pthread_mutex_unlock(&session->staging);
		if (found)
			return CL_SUCCESS;
		struct sl_slot *slot = sl_slot_take(session);
		status = sl_finish(session, slot, sl_send_settle(session, slot, 1));
		sl_collect(session);
		if (status != CL_SUCCESS)
			return status;
	}
}

uint8_t *sl_pending_bytes(struct sl_session *session, const struct sl_pending *pending)
{
	if (pending->place == SL_PLACE_STAGING)
		return session->segment + SL_STAGING_OFFSET + pending->offset;
	return session->arena + pending->offset;
}

/* Copies between the program's memory and a place, row by row where the program's rows lie apart. */
void sl_layout_copy(const struct sl_layout *layout, size_t size, uint8_t *program, uint8_t *place, bool to_program)
{
	size_t row = layout->region[0] ? layout->region[0] : size;
	size_t rows = layout->region[0] ? layout->region[1] : 1, slices = layout->region[0] ? layout->region[2] : 1;
	size_t place_row = layout->place_row_pitch ? layout->place_row_pitch : row;
	size_t place_slice = layout->place_slice_pitch ? layout->place_slice_pitch : place_row * rows;
	for (size_t z = 0; z < slices; z++) {
		for (size_t y = 0; y < rows; y++) {
			uint8_t *there = program + z * layout->slice_pitch + y * layout->row_pitch;
			uint8_t *here = place + z * place_slice + y * place_row;
			memcpy(to_program ? there : here, to_program ? here : there, row);
		}
	}
	sl_count(to_program ? SL_COUNT_RECEIVED : SL_COUNT_SENT, row * rows * slices);
}

/* Copies what a transfer with a ticket writes from the program's memory to its place. */
void sl_stage_copy(struct sl_session *session, const struct sl_pending *pending, uint8_t *program)
{
	sl_layout_copy(&pending->layout, pending->size, program, sl_pending_bytes(session, pending), false);
	DETECTOR_RELEASE(ticket_word(session, pending->ticket));
}

/* Remembers a transfer whose end sl_collect looks after. A ticket has one transfer, so its number is its place. */
void sl_pending_add(struct sl_session *session, const struct sl_pending *pending)
{
	struct sl_pending *kept = &session->pending_by_ticket[pending->ticket];
	*kept = *pending;
	pthread_mutex_lock(&session->staging);
	kept->next = session->pending;
	session->pending = kept;
	atomic_fetch_add(&session->pending_count, 1);
	pthread_mutex_unlock(&session->staging);
}

/*
 * Copies what has arrived to where the program wants it. Whoever has waited for the worker calls this before it
 * returns, so that a program never sees a finished read without its bytes.
 */
void sl_collect(struct sl_session *session)
{
	pthread_mutex_lock(&session->staging);
	for (struct sl_pending **link = &session->pending; *link;) {
		struct sl_pending *pending = *link;
		uint32_t state = ticket_state(session, pending->ticket);
		if (!state) {
			link = &pending->next;
			continue;
		}
		if (pending->destination && state == SL_TICKET_DONE)
			sl_layout_copy(&pending->layout, pending->size, pending->destination,
				       sl_pending_bytes(session, pending), true);
		if (pending->staged)
			pending->staged->left = true;
		else
			sl_unreserve(session, pending->offset);
		ticket_give(session, pending->ticket);
		*link = pending->next;
		atomic_fetch_sub(&session->pending_count, 1);
	}
	window_trim(session);
	pthread_mutex_unlock(&session->staging);
}
