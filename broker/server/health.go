package server

import (
	"context"
	"fmt"
	"time"

	"sluice/broker/device"
)

// watchHealth logs and counts what happens to the devices, where a management library knows one of them. One that cannot work
// any more is not leased again before the daemon is started anew.
func (s *Server) watchHealth(ctx context.Context) error {
	s.mutex.Lock()
	devices := s.ledger.Devices()
	s.mutex.Unlock()
	names := make(map[string]string)
	for _, d := range devices {
		if d.UUID != "" {
			names[d.UUID] = d.ID
		}
	}
	if len(names) == 0 {
		<-ctx.Done()
		return nil
	}
	err := s.supervisor.Watch(ctx, func(e device.HealthEvent) {
		name, known := names[e.UUID]
		if !known {
			return // no driver lends it
		}
		s.log.Error("device health", "device", name, "uuid", e.UUID, "kind", e.Kind, "code", e.Code, "fatal", e.Fatal)
		s.mutex.Lock()
		defer s.mutex.Unlock()
		if e.Fatal {
			s.ledger.Break(name, fmt.Sprintf("is broken: %s %d at %s", e.Kind, e.Code, e.At.Format(time.RFC3339)))
		}
		s.counts.health[healthCount{name, e.Kind}]++
	})
	<-ctx.Done() // a host that cannot watch still lends
	return err
}
