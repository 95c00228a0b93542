package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"
)

// A component runs until its context ends.
type component struct {
	name string
	run  func(context.Context) error
}

// errEnded is a component that returned though it was to run on.
var errEnded = errors.New("ended by itself")

// runComponents runs all until ctx ends or one of them does. Then it ends them one after the other in the order of the list,
// each when the one before is gone: those that take work come first, those that others need to finish it come last. Unless
// the cause is errEndAll, handOver is called before that.
func runComponents(ctx context.Context, log *slog.Logger, handOver func(), components []component) error {
	group, ctx := errgroup.WithContext(ctx)
	told := make(chan struct{})
	group.Go(func() error {
		defer close(told)
		<-ctx.Done()
		cause := context.Cause(ctx)
		log.Info("stopping", "cause", cause)
		if !errors.Is(cause, errEndAll) {
			handOver()
		}
		return nil
	})
	var before <-chan struct{} = told
	for _, c := range components {
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		turn, ended := before, make(chan struct{})
		group.Go(func() error {
			defer close(ended)
			defer stop()
			err := c.run(own)
			if err == nil && ctx.Err() == nil {
				err = errEnded
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			log.Info("stopped", "component", c.name)
			return nil
		})
		group.Go(func() error {
			<-turn
			stop()
			return nil
		})
		before = ended
	}
	return group.Wait()
}
