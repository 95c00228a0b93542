package executor

import (
	"context"
	"time"
)

// sweepInterval is between looks for what could not be cleared away when its time was.
const sweepInterval = 30 * time.Second

// sweep deletes Sandboxes that belong to no Instance, until ctx ends: a start that failed half way may have left one, when
// containerd was away at that moment.
func (e *Executor) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		e.sweepOnce(ctx)
	}
}

func (e *Executor) sweepOnce(ctx context.Context) {
	found, err := e.config.Sandbox.List(ctx)
	if err != nil {
		e.log.Warn("cannot look for sandboxes that are left behind", "error", err)
		return
	}
	ours := e.holders() // later than the list: an Instance is known before its Sandbox is made
	for _, one := range found {
		id := one.Identity().ID
		if _, known := ours[id]; known {
			continue
		}
		attempt, cancel := context.WithTimeout(ctx, clearTimeout)
		err := one.Delete(attempt)
		cancel()
		e.log.Warn("a sandbox was left behind", "instance", id, "deleted", err == nil, "error", err)
	}
}
