/* Traces: where SLUICE_TRACE names a file, each call of the program leaves a line there. */
#ifndef SL_TRACE_H
#define SL_TRACE_H

#include "shim.h"

/* What a thread counts while calls are traced. */
enum sl_counted {
	SL_COUNT_SENT,	   /* bytes: frames, and what the program's memory gave */
	SL_COUNT_RECEIVED, /* bytes: answers, and what the program's memory got */
	SL_COUNT_WAITS,	   /* answers that were waited for, and sleeps until the ring had room */
	SL_COUNT_WAKES,	   /* how often the worker slept and was woken */
	SL_COUNTS,
};

/* A call under way. */
struct sl_traced {
	uint64_t begin; /* ns of the monotonic clock */
	uint64_t counts[SL_COUNTS];
};

/* Through this table calls go: sl_dispatch, or where they are traced sl_dispatch_traced. */
extern const struct _cl_icd_dispatch *sl_calls __attribute__((visibility("hidden")));
extern const struct _cl_icd_dispatch sl_dispatch_traced;
extern bool sl_tracing __attribute__((visibility("hidden")));

void sl_trace_begin(struct sl_traced *call);
void sl_trace_end(const struct sl_traced *call, const char *name, const cl_int *status);
void sl_trace_count(enum sl_counted what, uint64_t amount);

static inline void sl_count(enum sl_counted what, uint64_t amount)
{
	if (__builtin_expect(sl_tracing, false))
		sl_trace_count(what, amount);
}

#endif
