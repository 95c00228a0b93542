package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/store"
)

const (
	backoffFirst = 20 * time.Millisecond
	backoffMax   = time.Second
	// doneSeconds is how long a write is remembered; more than any call tries.
	doneSeconds = 120
)

// passing are the first words of those answers of a server after which the same call may succeed.
var passing = []string{"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN", "max number of clients"}

// newOperation names one write, so that all attempts at it are known as one.
func newOperation() string { return rand.Text() }

// try runs one read, or one write that is an operation, until it succeeds, its error is final, or the time for it has
// passed. Between attempts it waits: at first 20 ms, at most a second, at random between the half and the whole.
func (s *Store) try(ctx context.Context, attempt func(ctx context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, s.settings.retryFor)
	defer cancel()
	var last error // the newest that says more than that time is up
	for backoff := backoffFirst; ; backoff = min(2*backoff, backoffMax) {
		err := attempt(bounded)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, redis.ErrClosed) || s.lifetime.Err() != nil:
			return store.ErrClosed
		case !mayPass(err):
			return fmt.Errorf("redis at %s: %w", s.settings.address, err)
		}
		if last == nil || bounded.Err() == nil {
			last = err
		}
		select {
		case <-bounded.Done():
			if ended(ctx) != nil {
				return fmt.Errorf("redis at %s: %w: %w", s.settings.address, ended(ctx), last)
			}
			return fmt.Errorf("%w: redis at %s, tried for %v: %w", store.ErrUnavailable, s.settings.address, s.settings.retryFor, last)
		case <-time.After(backoff/2 + mathrand.N(backoff/2)):
		}
	}
}

// ended is ctx.Err, also in the moment between a deadline and its noticing.
func ended(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// mayPass reports whether trying again may help. What is no answer of the server is a matter of the connection.
func mayPass(err error) bool {
	if errors.Is(err, store.ErrInvalid) || errors.Is(err, redis.Nil) {
		return false
	}
	var answered redis.Error
	if !errors.As(err, &answered) {
		return true
	}
	return slices.ContainsFunc(passing, func(prefix string) bool { return redis.HasErrorPrefix(err, prefix) })
}

// run runs a script as one operation whose key is the first, and its lifetime the first argument.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, arguments ...any) (answer any, err error) {
	keys = append([]string{s.key("done:" + newOperation())}, keys...)
	arguments = append([]any{doneSeconds}, arguments...)
	err = s.try(ctx, func(ctx context.Context) (err error) {
		answer, err = script.Run(ctx, s.client, keys, arguments...).Result()
		return err
	})
	return answer, err
}
