package runner

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"sluice/batcher/runner/functiontest"
)

func TestLagFollowsWhatAnswersTake(t *testing.T) {
	var l lag
	if kept := l.of(time.Second); kept != 0 {
		t.Errorf("%v are kept for a way that nobody has gone", kept)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 * lagMemory {
		l.note(8*time.Millisecond + time.Duration(random.Int64N(int64(4*time.Millisecond))))
	}
	// The mean is 10 ms, the mean deviation 1 ms; the way to the client is as long.
	if kept := l.of(time.Second); kept < 22*time.Millisecond || kept > 26*time.Millisecond {
		t.Errorf("%v are kept where answers take 8 to 12 ms", kept)
	}
	if kept := l.of(20 * time.Millisecond); kept != 5*time.Millisecond {
		t.Errorf("%v are kept of 20 ms", kept)
	}
	for range 20 * lagMemory {
		l.note(0)
	}
	if kept := l.of(time.Second); kept > 10*time.Microsecond {
		t.Errorf("%v are kept long after answers were slow", kept)
	}
}

// What a client waits is planned without the way back. A request that is shed in that time was late, not expired: nobody has
// come to its batch, but its client waits still.
func TestLagIsKeptOfADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Route{Policy: "adaptive", MaxSize: 4}, nil)
		l := r.lanes[simple]
		l.lag.mean = 10 * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begun := time.Now()
		_, err := r.Infer(ctx, simple, functiontest.Request(1, 0))
		if took := time.Since(begun); took != 80*time.Millisecond || !errors.Is(err, errLate) {
			t.Errorf("without an instance it ends after %v with %v, want 80ms and late", took, err)
		}
	})
}
