package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// How a daemon was told to end. By anything else, a failure of one of its parts included, it ends as by errHandOver.
var (
	errHandOver = errors.New("told to hand over")  // SIGTERM: what runs goes on, for the next daemon to adopt
	errEndAll   = errors.New("told to end it all") // SIGINT: instances, leases and workers end first
)

// stopContext ends when a signal tells the daemon to end; its cause says how. A second signal ends the process at once.
func stopContext() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case received := <-signals:
			signal.Reset(os.Interrupt, syscall.SIGTERM)
			if received == os.Interrupt {
				cancel(errEndAll)
			} else {
				cancel(errHandOver)
			}
		case <-ctx.Done():
			signal.Stop(signals)
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}
