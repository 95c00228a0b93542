package runner

import (
	"context"
	"sync"
	"time"
)

// horizonStep is how long requests share a horizon, and so how inexact MaxDuration is.
const horizonStep = MaxDuration / 10

// horizon ends requests without a deadline. Those that come at about the same time share one timer: a timer for each
// costs more than the rest of its bookkeeping, and a deadline would go to the function as a header.
type horizon struct {
	mu    sync.Mutex
	end   context.Context // ends at endAt
	endAt time.Time       // MaxDuration to MaxDuration + horizonStep away
}

// bound gives a context that ends with ctx, or with the cause context.DeadlineExceeded at the horizon.
func (h *horizon) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(h.next(), func() { cancel(context.DeadlineExceeded) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

func (h *horizon) next() context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); h.endAt.Sub(now) < MaxDuration {
		end, cancel := context.WithCancel(context.Background())
		h.end, h.endAt = end, now.Add(MaxDuration+horizonStep)
		time.AfterFunc(MaxDuration+horizonStep, cancel)
	}
	return h.end
}
