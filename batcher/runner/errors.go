package runner

import (
	"errors"
	"fmt"
	"time"
)

// The kinds of errors that Infer and the other calls end with; an error that a function answered keeps its gRPC
// status instead.
var (
	// ErrNoRoute: no such function is routed.
	ErrNoRoute = errors.New("function is not deployed")
	// ErrRequest: the function cannot take this request.
	ErrRequest = errors.New("request does not fit the function")
	// ErrQueueFull: too many requests or bytes wait for the function.
	ErrQueueFull = errors.New("queue is full")
	// ErrExpired: the deadline passed before the answer came.
	ErrExpired = errors.New("deadline passed")
	// ErrCancelled: the caller gave up.
	ErrCancelled = errors.New("request was cancelled")
	// ErrOutput: the function's answer breaks the protocol.
	ErrOutput = errors.New("function answered wrongly")
	// ErrUnavailable: the instance failed while it had the request, or none could be started.
	ErrUnavailable = errors.New("function is unavailable")
	// ErrRoute: a route or endpoint that makes no sense.
	ErrRoute = errors.New("route")
)

// Why a deadline was missed: each is ErrExpired, and counted by itself.
var (
	errExpiredQueued  = fmt.Errorf("%w in the queue", ErrExpired)
	errLate           = fmt.Errorf("%w before it could be met", ErrExpired)
	errExpiredRunning = fmt.Errorf("%w while the function had the request", ErrExpired)
)

// The causes of a missed deadline: it passed in the queue, it could not be met any more, or it passed while the request ran.
const (
	missQueued  = "queued"
	missLate    = "late"
	missRunning = "running"
)

var missCauses = []string{missQueued, missLate, missRunning}

// missCause is the label under which a missed deadline is counted; empty: none was.
func missCause(err error) string {
	switch {
	case errors.Is(err, errExpiredQueued):
		return missQueued
	case errors.Is(err, errLate):
		return missLate
	case errors.Is(err, errExpiredRunning):
		return missRunning
	}
	return ""
}

// shedError is what a request ends with that left the queue without being run.
func shedError(expired bool, waited time.Duration) error {
	waited = waited.Round(time.Millisecond)
	if !expired {
		return fmt.Errorf("%w: after %v in the queue the function could not answer in time any more", errLate, waited)
	}
	return fmt.Errorf("%w, after %v", errExpiredQueued, waited)
}
