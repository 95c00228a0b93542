package containerd

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"
)

// labelCreate marks the lease that a Create holds in containerd; its value is the Instance's id.
const labelCreate = "sluice.create"

// createExpiration ends the lease of a Create that was broken off, should nobody look: longer than any Create takes.
const createExpiration = 2 * cleanupTimeout

// protect keeps what Create makes from being collected by containerd until a container refers to it. What is left by a Create
// that was broken off is collected once its lease is given back.
func (s *Sandbox) protect(ctx context.Context, id string) (context.Context, func(context.Context) error, error) {
	return s.client.WithLease(
		ctx, leases.WithRandomID(), leases.WithExpiration(createExpiration), leases.WithLabels(map[string]string{labelCreate: id}),
	)
}

// collectUnfinished gives back the leases of Creates that were broken off, by the end of a process or of containerd, and
// returns when containerd has collected what they held: snapshots without a container.
func (s *Sandbox) collectUnfinished(ctx context.Context) error {
	service := s.client.LeasesService()
	all, err := service.List(ctx, fmt.Sprintf("labels.%q", labelCreate))
	if err != nil {
		return fmt.Errorf("list leases of creates: %w", err)
	}
	for _, one := range all {
		if s.isCreating(one.Labels[labelCreate]) {
			continue
		}
		if err := service.Delete(ctx, one, leases.SynchronousDelete); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("give back the lease of the create of %s: %w", one.Labels[labelCreate], err)
		}
		s.log.Info("collected what a broken off create left", "instance", one.Labels[labelCreate], "since", one.CreatedAt.Format(time.RFC3339))
	}
	return nil
}
