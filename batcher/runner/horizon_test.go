package runner

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A request without a deadline ends after MaxDuration and a step at most, as expired.
func TestHorizon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h horizon
		for range 3 {
			begun := time.Now()
			ctx, cancel := h.bound(t.Context())
			<-ctx.Done()
			cancel()
			if took := time.Since(begun); took < MaxDuration || took > MaxDuration+horizonStep {
				t.Errorf("ended after %s", took)
			}
			if err := ended(ctx, false); !errors.Is(err, ErrExpired) {
				t.Errorf("ended with %v", err)
			}
		}
		ctx, cancel := h.bound(t.Context())
		defer cancel()
		gone, leave := context.WithCancel(t.Context())
		left, forget := h.bound(gone)
		defer forget()
		leave()
		if err := ended(left, false); !errors.Is(err, ErrCancelled) || ctx.Err() != nil {
			t.Errorf("who leaves gets %v, and a neighbour %v", err, ctx.Err())
		}
	})
}

// A client's own timer ends first and cancels the request: that is a missed deadline; long before it, it is not.
func TestCancelledAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, of := range []struct {
			left time.Duration
			want error
		}{{time.Second, ErrCancelled}, {clientLead / 2, errExpiredRunning}} {
			ctx, leave := context.WithTimeout(t.Context(), of.left)
			leave()
			if err := ended(ctx, true); !errors.Is(err, of.want) {
				t.Errorf("cancelled %s before its deadline: %v, want %v", of.left, err, of.want)
			}
		}
	})
}
