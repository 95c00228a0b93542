package simulator

import "sluice/batcher"

// triton is Triton's dynamic batcher with max_queue_delay 0: whatever has queued up, at once. With reject its queue
// policy rejects what waited for the whole SLO.
type triton struct {
	unlearned
	limit  int
	reject bool
}

func (t *triton) next(now int64, queue []batcher.Request) (drop, run int, wakeAt int64) {
	if t.reject {
		drop = expired(queue, now)
	}
	return drop, min(len(queue)-drop, t.limit), batcher.Never
}

// static releases a batch of the size that takes half of the SLO, or after 2 ms. It is TF Serving's
// BasicBatchScheduler, which rejects nothing; with reject, what cannot be on time in a full batch is dropped.
type static struct {
	unlearned
	curve  Curve
	limit  int
	reject bool
}

const staticMaxWait = 2e6

func newStatic(c Curve, reject bool) *static {
	return &static{curve: c, limit: c.halfSLOSize(), reject: reject}
}

func (s *static) next(now int64, queue []batcher.Request) (drop, run int, wakeAt int64) {
	if s.reject {
		drop = expired(queue, now+s.curve.Duration(s.limit))
	}
	left := queue[drop:]
	if len(left) == 0 {
		return drop, 0, batcher.Never
	}
	oldest := batcher.Never
	for _, q := range left {
		oldest = min(oldest, q.Arrival)
	}
	if len(left) < s.limit && now < oldest+staticMaxWait {
		return drop, 0, oldest + staticMaxWait
	}
	return drop, min(len(left), s.limit), batcher.Never
}

// infless is one instance of INFless: of the sizes whose batch takes at most half of the SLO the one with the highest
// rate, released when full or when its first request must start. Admission is not its dispatcher's part.
type infless struct {
	unlearned
	size    int
	timeout int64
}

func newINFless(c Curve) *infless {
	best := &infless{size: 1, timeout: c.SLO - c.Duration(1)}
	for b := 2; b <= c.MaxSize; b++ {
		if c.Duration(b) <= c.SLO/2 && c.Duration(best.size)*int64(b) > c.Duration(b)*int64(best.size) {
			best = &infless{size: b, timeout: c.SLO - c.Duration(b)}
		}
	}
	return best
}

func (f *infless) next(now int64, queue []batcher.Request) (drop, run int, wakeAt int64) {
	if due := queue[0].Arrival + f.timeout; len(queue) < f.size && now < due {
		return 0, 0, due
	}
	return 0, min(len(queue), f.size), batcher.Never
}
