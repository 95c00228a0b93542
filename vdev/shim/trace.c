/*
 * Traces. A call's line is written when the call returns, by one write to a file that is only appended to: it is there
 * whatever becomes of the program, and lines of several threads and processes do not mix. vdev/trace reads them.
 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 256
/* Programs that close descriptors and open others get the low numbers. */
#define DESCRIPTOR_MIN 900

struct thread {
	long id; /* 0: not asked yet */
	uint64_t counts[SL_COUNTS];
};

const struct _cl_icd_dispatch *sl_calls = &sl_dispatch;
bool sl_tracing;

static _Atomic int file = -1;
static pthread_key_t threads;
static long process;

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* The calling thread's, or NULL where memory runs out. */
static struct thread *thread_here(void)
{
	struct thread *thread = pthread_getspecific(threads);
	if (thread)
		return thread;
	thread = calloc(1, sizeof(*thread));
	if (thread && pthread_setspecific(threads, thread) != 0) {
		free(thread);
		return NULL;
	}
	return thread;
}

void sl_trace_count(enum sl_counted what, uint64_t amount)
{
	struct thread *thread = thread_here();
	if (thread)
		thread->counts[what] += amount;
}

void sl_trace_begin(struct sl_traced *call)
{
	int before = errno;
	const struct thread *thread = thread_here();
	memset(call, 0, sizeof(*call));
	if (thread)
		memcpy(call->counts, thread->counts, sizeof(call->counts));
	errno = before;
	call->begin = now();
}

static void write_line(const char *line, size_t length)
{
	int to = atomic_load_explicit(&file, memory_order_relaxed);
	if (to < 0 || write(to, line, length) == (ssize_t)length)
		return;
	/* What comes behind a part of a line would not be understood. */
	if (atomic_exchange(&file, -1) >= 0)
		fprintf(stderr, "sluice: the trace ends here: %s\n", strerror(errno));
}

/* Ends a call; status is NULL where it returns none. A call from within another one's callback ends before it. */
void sl_trace_end(const struct sl_traced *call, const char *name, const cl_int *status)
{
	uint64_t end = now();
	int before = errno;
	struct thread *thread = thread_here();
	if (!thread)
		return;
	if (!thread->id)
		thread->id = syscall(SYS_gettid);
	uint64_t counts[SL_COUNTS];
	for (int i = 0; i < SL_COUNTS; i++)
		counts[i] = thread->counts[i] - call->counts[i];
	char line[LINE_MAX_BYTES], returned[16] = "-";
	if (status)
		snprintf(returned, sizeof(returned), "%d", *status);
	int length =
		snprintf(line, sizeof(line),
			 "%ld %ld %s %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
			 process, thread->id, name, returned, call->begin, end - call->begin, counts[SL_COUNT_SENT],
			 counts[SL_COUNT_RECEIVED], counts[SL_COUNT_WAITS], counts[SL_COUNT_WAKES]);
	if (length > 0 && (size_t)length < sizeof(line))
		write_line(line, (size_t)length);
	errno = before;
}

/* A child of fork has its parent's file, and a number of its own. */
static void forked(void)
{
	struct thread *thread = pthread_getspecific(threads);
	process = getpid();
	if (thread)
		thread->id = 0;
}

/* Before the first call: which table objects are made with is not changed afterwards. */
__attribute__((constructor)) static void trace_open(void)
{
	const char *path = secure_getenv("SLUICE_TRACE");
	if (!path || !*path)
		return;
	/* A program may change its folder before it loads the library. */
	int opened = *path == '/' ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
	if (opened < 0 || pthread_key_create(&threads, free) != 0) {
		fprintf(stderr, "sluice: SLUICE_TRACE: %s: %s\n", path,
			*path == '/' ? strerror(errno) : "not an absolute path");
		return;
	}
	int high = fcntl(opened, F_DUPFD_CLOEXEC, DESCRIPTOR_MIN);
	if (high >= 0)
		close(opened);
	process = getpid();
	pthread_atfork(NULL, NULL, forked);
	atomic_store(&file, high >= 0 ? high : opened);
	sl_tracing = true;
	sl_calls = &sl_dispatch_traced;
}
