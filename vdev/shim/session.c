/* The session: its shared memory, the command ring and the completion slots. */
#include "gen/messages.h"
#include "trace.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* How often a sleeper looks whether the worker is still there. */
#define LIVENESS_NS 100000000L
/* Bounds of the spin before a sleep, in rounds of pause. */
#define SPIN_MIN 16U
#define SPIN_MAX 1024U

static pthread_mutex_t connecting = PTHREAD_MUTEX_INITIALIZER;
static struct sl_session *_Atomic current;
static pthread_once_t fork_watched = PTHREAD_ONCE_INIT;

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Sleeps while *word is value, but not longer than it takes to look whether the worker is still there. */
void sl_sleep(_Atomic uint32_t *word, uint32_t value)
{
	struct timespec timeout = {.tv_nsec = LIVENESS_NS};
	syscall(SYS_futex, word, FUTEX_WAIT, value, &timeout, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static _Atomic uint32_t *word32(struct sl_session *session, size_t offset)
{
	return (_Atomic uint32_t *)(void *)(session->segment + offset);
}

static _Atomic uint64_t *word64(struct sl_session *session, size_t offset)
{
	return (_Atomic uint64_t *)(void *)(session->segment + offset);
}

static struct sl_slot *slot_at(struct sl_session *session, unsigned index)
{
	return (struct sl_slot *)(void *)(session->segment + SL_SLOTS_OFFSET + index * SL_SLOT_SIZE);
}

static unsigned slot_index(struct sl_session *session, const struct sl_slot *slot)
{
	return (unsigned)(slot - slot_at(session, 0));
}

/*
 * The connection carries nothing after the greeting, so any event on it is its end. A poll that a signal interrupts,
 * as one may that does not wait, tells nothing.
 */
bool sl_session_alive(struct sl_session *session)
{
	struct pollfd watched = {.fd = session->connection, .events = POLLIN | POLLRDHUP};
	if (atomic_load_explicit(&session->lost, memory_order_relaxed))
		return false;
	if (poll(&watched, 1, 0) <= 0)
		return true;
	atomic_store(&session->lost, true);
	return false;
}

/* A child of fork shares its parent's memory with the worker but may not speak in its place. */
static void forget_in_child(void)
{
	struct sl_session *session = atomic_load(&current);
	if (!session)
		return;
	atomic_store(&session->lost, true);
	close(session->connection);
	session->connection = -1;
	atomic_store(&current, NULL);
	pthread_mutex_init(&connecting, NULL);
	/* Another thread may have held these, and is not in the child to give them back. */
	pthread_mutex_init(&session->ring, NULL);
	pthread_cond_init(&session->untaken, NULL);
	pthread_mutex_init(&session->handles, NULL);
	pthread_mutex_init(&session->staging, NULL);
	pthread_mutex_init(&session->making, NULL);
	pthread_mutex_init(&session->svm_lock, NULL);
}

static void watch_fork(void)
{
	pthread_atfork(NULL, NULL, forget_in_child);
}

static void object_init(struct sl_session *session, sl_object *object, uint32_t kind, uint32_t handle)
{
	object->dispatch = sl_calls;
	object->magic = SL_OBJECT_MAGIC;
	object->kind = kind;
	object->handle = handle;
	object->session = session;
	atomic_store(&object->references, 1);
	atomic_store(&object->holders, 1);
}

/* Maps at the address where that is free, and else anywhere. */
static void *map_shared(int descriptor, size_t size, void *address)
{
	return mmap(address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
}

/* Maps the arena where the worker has it, or, where that is not to be had, anywhere. */
static void map_arena(struct sl_session *session, const struct sl_welcome *welcome)
{
	void *wanted = (void *)(uintptr_t)welcome->arena_address;
	session->arena_size = welcome->arena_size;
	session->arena = map_shared(welcome->arena, welcome->arena_size, wanted);
	session->addresses_equal = wanted && session->arena == wanted;
}

static struct sl_session *session_open(void)
{
	struct sl_welcome welcome;
	struct sl_session *session = calloc(1, sizeof(*session));
	if (!session)
		return NULL;
	session->connection = sl_connect(&welcome);
	if (session->connection < 0) {
		free(session);
		return NULL;
	}
	session->segment = map_shared(welcome.segment, SL_SEGMENT_SIZE, NULL);
	map_arena(session, &welcome);
	close(welcome.segment);
	close(welcome.arena);
	session->handles_free = malloc(SL_HANDLE_MAX * sizeof(uint32_t));
	if (session->segment == MAP_FAILED || session->arena == MAP_FAILED || !session->handles_free) {
		close(session->connection);
		free(session->handles_free);
		free(session);
		return NULL;
	}
	session->handles_next = SL_FIRST_HANDLE;
	pthread_mutex_init(&session->ring, NULL);
	pthread_cond_init(&session->untaken, NULL);
	pthread_mutex_init(&session->handles, NULL);
	pthread_mutex_init(&session->staging, NULL);
	pthread_mutex_init(&session->watching, NULL);
	pthread_mutex_init(&session->making, NULL);
	pthread_mutex_init(&session->svm_lock, NULL);
	sem_init(&session->slots_free, 0, SL_SLOT_COUNT);
	atomic_store(&session->spin, SPIN_MAX / 4);
	object_init(session, &session->platform, SL_PLATFORM, SL_PLATFORM_HANDLE);
	session->device_count = welcome.device_count;
	for (cl_uint i = 0; i < session->device_count; i++) {
		object_init(session, &session->devices[i], SL_DEVICE, (uint32_t)SL_DEVICE_HANDLE + i);
		atomic_store(&session->credit[i], (int64_t)welcome.credit);
	}
	return session;
}

/* Asks what the platform and the devices are; the first device's answer has the platform's. */
static cl_int session_describe(struct sl_session *session)
{
	cl_int status = CL_SUCCESS;
	for (cl_uint i = 0; i < session->device_count && status == CL_SUCCESS; i++)
		status = sl_describe(&session->devices[i], i ? NULL : &session->platform);
	return status;
}

/* The process's session, opened at the first call; NULL where the broker gives none. */
struct sl_session *sl_session(void)
{
	struct sl_session *session = atomic_load_explicit(&current, memory_order_acquire);
	if (session)
		return session;
	pthread_once(&fork_watched, watch_fork);
	pthread_mutex_lock(&connecting);
	session = atomic_load(&current);
	if (!session && (session = session_open())) {
		if (session_describe(session) == CL_SUCCESS)
			atomic_store_explicit(&current, session, memory_order_release);
		else
			session = NULL;
	}
	pthread_mutex_unlock(&connecting);
	return session;
}

/* Waits until the ring has room for size bytes that do not wrap. Returns false where the worker is gone. */
static bool wait_for_room(struct sl_session *session, uint64_t wanted)
{
	_Atomic uint64_t *tail = word64(session, SL_WORD_TAIL);
	_Atomic uint32_t *space = word32(session, SL_WORD_SPACE);
	for (unsigned round = 0;; round++) {
		uint32_t seen = atomic_load(space);
		if (session->head + wanted - atomic_load_explicit(tail, memory_order_acquire) <= SL_RING_SIZE)
			return true;
		if (round < SPIN_MAX) {
			pause_cpu();
			continue;
		}
		atomic_store(word32(session, SL_WORD_SPACE_WAITERS), 1);
		if (session->head + wanted - atomic_load(tail) <= SL_RING_SIZE)
			return true;
		sl_count(SL_COUNT_WAITS, 1);
		sl_sleep(space, seen);
		if (!sl_session_alive(session))
			return false;
	}
}

/*
 * Takes the ring and returns the place of a frame of at most size bytes, or NULL where the session is lost. The frame
 * is written in place; sl_end sends it and gives the ring back. The frame puts a command into queue, if that is given.
 */
uint8_t *sl_begin(struct sl_session *session, size_t size, sl_object *queue)
{
	if (size > SL_FRAME_MAX || atomic_load_explicit(&session->lost, memory_order_relaxed))
		return NULL;
	pthread_mutex_lock(&session->ring);
	if (queue)
		sl_queue_feed(queue);
	uint8_t *ring = session->segment + SL_RING_OFFSET;
	size_t at = (size_t)(session->head & (SL_RING_SIZE - 1)), rest = (size_t)SL_RING_SIZE - at;
	if (!wait_for_room(session, size + (rest < size ? rest : 0))) {
		pthread_mutex_unlock(&session->ring);
		return NULL;
	}
	if (rest < size) {
		uint32_t filler[2] = {(uint32_t)rest, 0};
		memcpy(ring + at, filler, sizeof(filler));
		session->head += rest;
		at = 0;
	}
	return ring + at;
}

void sl_end(struct sl_session *session, uint8_t *frame, uint8_t *end, uint32_t call, struct sl_slot *slot)
{
	uint32_t size = (uint32_t)(end - frame);
	uint16_t number = (uint16_t)call, waiter = 0;
	if (slot) {
		waiter = (uint16_t)(slot_index(session, slot) + 1);
		atomic_store_explicit(&slot->state, SL_SLOT_PENDING, memory_order_relaxed);
	}
	memcpy(frame, &size, 4);
	memcpy(frame + 4, &number, 2);
	memcpy(frame + 6, &waiter, 2);
	session->head += size;
	atomic_store(word64(session, SL_WORD_HEAD), session->head);
	if (atomic_load(word32(session, SL_WORD_ASLEEP)) && atomic_exchange(word32(session, SL_WORD_ASLEEP), 0)) {
		atomic_fetch_add(word32(session, SL_WORD_DOORBELL), 1);
		futex_wake(word32(session, SL_WORD_DOORBELL));
		sl_count(SL_COUNT_WAKES, 1);
	}
	pthread_mutex_unlock(&session->ring);
	sl_count(SL_COUNT_SENT, size);
}

/* A free slot, of which nothing tells yet that it was answered. */
struct sl_slot *sl_slot_take(struct sl_session *session)
{
	while (sem_wait(&session->slots_free) != 0 && errno == EINTR)
		;
	uint64_t taken = atomic_load(&session->slots_taken);
	for (;;) {
		unsigned index = (unsigned)__builtin_ctzll(~taken);
		if (atomic_compare_exchange_weak(&session->slots_taken, &taken, taken | 1ULL << index)) {
			struct sl_slot *slot = slot_at(session, index);
			slot->length = 0;
			return slot;
		}
	}
}

void sl_slot_give(struct sl_session *session, struct sl_slot *slot)
{
	atomic_fetch_and(&session->slots_taken, ~(1ULL << slot_index(session, slot)));
	sem_post(&session->slots_free);
}

/*
 * Spins while answers tend to come within the spin, and less and less while they do not: a core that spins in vain is
 * one that the driver's threads cannot have.
 */
static bool spin(struct sl_session *session, struct sl_slot *slot)
{
	uint32_t budget = atomic_load_explicit(&session->spin, memory_order_relaxed);
	for (uint32_t i = 0; i < budget; i++) {
		if (atomic_load_explicit(&slot->state, memory_order_acquire) == SL_SLOT_DONE) {
			if (budget < SPIN_MAX)
				atomic_store_explicit(&session->spin, budget + budget / 4 + 1, memory_order_relaxed);
			return true;
		}
		pause_cpu();
	}
	if (budget > SPIN_MIN)
		atomic_store_explicit(&session->spin, budget - budget / 8, memory_order_relaxed);
	return false;
}

/* Prints what the program's kernels have printed, where the program itself prints. */
static void print_output(struct sl_session *session)
{
	size_t length;
	do {
		struct sl_slot *slot = sl_slot_take(session);
		length = 0;
		if (sl_wait(session, slot, sl_send_output(session, slot)) == CL_SUCCESS) {
			const uint8_t *text = sl_reply(session, slot, &length);
			for (size_t at = 0; text && at < length;) {
				ssize_t n = write(STDOUT_FILENO, text + at, length - at);
				if (n <= 0)
					break;
				at += (size_t)n;
			}
		}
		sl_slot_give(session, slot);
	} while (length == SL_SLOT_PAYLOAD);
}

/* Waits for the answer to a frame that was sent with slot; sent is what the sending returned. */
cl_int sl_wait(struct sl_session *session, struct sl_slot *slot, cl_int sent)
{
	if (sent != CL_SUCCESS)
		return sent;
	if (!spin(session, slot)) {
		uint32_t expected = SL_SLOT_PENDING;
		atomic_compare_exchange_strong(&slot->state, &expected, SL_SLOT_WAITING);
		while (atomic_load_explicit(&slot->state, memory_order_acquire) != SL_SLOT_DONE) {
			sl_sleep(&slot->state, SL_SLOT_WAITING);
			if (atomic_load(&slot->state) != SL_SLOT_DONE && !sl_session_alive(session))
				return CL_OUT_OF_RESOURCES;
		}
	}
	sl_count(SL_COUNT_WAITS, 1);
	sl_count(SL_COUNT_RECEIVED, slot->length);
	if (atomic_load_explicit(&session->pending_count, memory_order_acquire))
		sl_collect(session);
	_Atomic uint32_t *output = word32(session, SL_WORD_OUTPUT);
	if (atomic_load_explicit(output, memory_order_relaxed) && atomic_exchange(output, 0))
		print_output(session);
	return slot->status;
}

/* Waits, and gives the slot back. */
cl_int sl_finish(struct sl_session *session, struct sl_slot *slot, cl_int sent)
{
	cl_int status = sl_wait(session, slot, sent);
	sl_slot_give(session, slot);
	return status;
}

/* Like sl_finish; made says whether the driver accepted the command, so that its event exists whatever became of it. */
cl_int sl_finish_command(struct sl_session *session, struct sl_slot *slot, cl_int sent, bool *made)
{
	cl_int status = sl_wait(session, slot, sent);
	*made = slot->length != 0;
	sl_slot_give(session, slot);
	return status;
}

/* The answer's payload. Valid until the slot is given back. NULL where it is not within the arena. */
const uint8_t *sl_reply(struct sl_session *session, struct sl_slot *slot, size_t *length)
{
	uint32_t size = slot->length;
	*length = 0;
	if (!slot->elsewhere) {
		if (size > SL_SLOT_PAYLOAD)
			return NULL;
		*length = size;
		return slot->payload;
	}
	uint64_t offset;
	memcpy(&offset, slot->payload, 8);
	if (offset > session->arena_size || size > session->arena_size - offset)
		return NULL;
	*length = size;
	return session->arena + offset;
}

cl_int sl_reserve(struct sl_session *session, size_t size, uint64_t *offset)
{
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status = sl_wait(session, slot, sl_send_reserve(session, slot, size));
	if (status == CL_SUCCESS) {
		memcpy(offset, slot->payload, 8);
		if (*offset > session->arena_size || size > session->arena_size - *offset)
			status = CL_OUT_OF_RESOURCES;
	}
	sl_slot_give(session, slot);
	return status;
}

void sl_unreserve(struct sl_session *session, uint64_t offset)
{
	(void)sl_send_unreserve(session, NULL, offset);
}

/* Puts bytes too long for a frame into the arena; the worker gives the place back. */
cl_int sl_place(struct sl_session *session, size_t length, const void *bytes, uint64_t *offset)
{
	cl_int status = sl_reserve(session, length, offset);
	if (status == CL_SUCCESS) {
		memcpy(session->arena + *offset, bytes, length);
		sl_count(SL_COUNT_SENT, length);
	}
	return status;
}
