package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"sluice/broker/buildcache"
	"sluice/broker/device"
	"sluice/broker/handover"
	"sluice/broker/lease"
	"sluice/broker/session"
	"sluice/broker/supervisor"
)

const (
	idBytes    = 6  // of a Lease's id
	tokenBytes = 32 // of a Lease's token

	// lastStatsTimeout bounds the wait for a worker's last counts before it is ended.
	lastStatsTimeout = 200 * time.Millisecond
	// freedWaitMax bounds the wait for the workers of ended Leases.
	freedWaitMax = 5 * time.Second
	// buildsTimeout bounds the wait for what it has compiled.
	buildsTimeout = 2 * time.Second
)

// errNotServed is a Lease that was granted but could not be given a worker.
var errNotServed = errors.New("the lease cannot be served")

// hold is a Lease and the worker that serves it.
type hold struct {
	lease  lease.Lease // as granted
	worker *supervisor.Process
	log    *slog.Logger
	freed  chan struct{} // closed when its Slices are back in the pool

	// Under Server.mutex:
	duration time.Duration   // of the last renewal
	ending   lease.EventKind // why we ended it; empty while it lives, or when its worker died by itself
	stats    handover.Stats  // the last that the worker told
	packing  bool            // asked for what it has compiled
}

// end ends the worker; the rest follows when it is gone. The Lease has ended in the ledger already.
func (h *hold) end(why lease.EventKind) {
	h.ending = why
	h.worker.Kill()
}

// grant makes a Lease whose worker is ready.
func (s *Server) grant(ctx context.Context, r lease.Request) (lease.Lease, error) {
	began := time.Now()
	id, token := randomHex(idBytes), randomHex(tokenBytes)
	ctx, cancel := context.WithTimeout(ctx, grantWaitMax)
	defer cancel()
	// Its time begins when it has a worker, for which it may have to wait.
	reserved := r
	reserved.Duration = min(r.Duration+grantWaitMax, lease.DurationMax)
	granted, devices, err := s.reserve(ctx, id, token, reserved)
	if err != nil {
		return lease.Lease{}, err
	}
	worker, err := s.assign(ctx, granted, devices, r.Duration)
	if err != nil {
		s.abandon(granted)
		return lease.Lease{}, fmt.Errorf("%w: %w", errNotServed, err)
	}
	held, err := s.hold(id, worker, r.Duration)
	if err != nil {
		worker.Kill()
		<-worker.Done()
		s.abandon(granted)
		return lease.Lease{}, fmt.Errorf("%w: it ended before its worker was ready: %w", errNotServed, err)
	}
	s.log.Info("lease granted", "lease", held.ID, "tenant", held.Tenant, "holder", held.Holder,
		"devices", held.Devices(), "memory_bytes", held.MemoryBytes(), "worker_pid", worker.PID,
		"duration_ms", time.Since(began).Milliseconds())
	return held, nil
}

// reserve takes a Lease's Slices. Where there is too little while workers of ended Leases still go, it waits for those: to
// whoever has just given a Slice back it is free.
func (s *Server) reserve(ctx context.Context, id, token string, r lease.Request) (lease.Lease, []device.Device, error) {
	timeout := time.NewTimer(freedWaitMax)
	defer timeout.Stop()
	for {
		s.mutex.Lock()
		if s.stopping {
			s.mutex.Unlock()
			return lease.Lease{}, nil, fmt.Errorf("%w: the daemon is stopping", errNotServed)
		}
		granted, err := s.ledger.Grant(time.Now(), id, token, r)
		devices, going := s.devicesOf(granted), s.going()
		s.mutex.Unlock()
		if err == nil || !errors.Is(err, lease.ErrNoCapacity) || going == nil {
			return granted, devices, err
		}
		select {
		case <-going:
		case <-timeout.C:
			return lease.Lease{}, nil, err
		case <-ctx.Done():
			return lease.Lease{}, nil, err
		}
	}
}

// going is closed when the Slices of a Lease that has ended are free; nil where there is none. The caller has the mutex.
func (s *Server) going() <-chan struct{} {
	for _, h := range s.held {
		if h.ending != "" {
			return h.freed
		}
	}
	return nil
}

// devicesOf finds the Devices of a Lease's Slices, in their order; none where the pool has lost one. The caller has the
// mutex.
func (s *Server) devicesOf(l lease.Lease) []device.Device {
	devices := make([]device.Device, 0, len(l.Slices))
	for _, slice := range l.Slices {
		d, found := s.ledger.Device(slice.DeviceID)
		if !found {
			return nil
		}
		devices = append(devices, d)
	}
	return devices
}

// assign takes a warm worker and gives it the Lease.
func (s *Server) assign(ctx context.Context, granted lease.Lease, devices []device.Device, duration time.Duration) (*supervisor.Process, error) {
	kept, err := encodeRecord(granted, duration)
	if err != nil {
		return nil, err
	}
	builds, err := s.builds.Open(buildsKey(granted.Tenant, devices))
	if err != nil {
		s.log.Warn("what the tenant has built before is not read", "tenant", granted.Tenant, "error", err)
	}
	if builds != nil {
		defer builds.Close()
	}
	worker, err := s.supervisor.Take(ctx)
	if err != nil {
		return nil, err
	}
	assigned := handover.Assign{
		LeaseID: granted.ID, Tenant: granted.Tenant, Holder: granted.Holder,
		MemoryBytes: granted.MemoryBytes(), ComputeMilli: granted.ComputeMilli(), PlatformIndex: devices[0].PlatformIndex,
	}
	for i, slice := range granted.Slices {
		assigned.Devices = append(assigned.Devices, handover.AssignedDevice{Index: devices[i].DeviceIndex, MemoryBytes: slice.MemoryBytes})
	}
	err = worker.Assign(ctx, assigned, kept, builds)
	if err != nil {
		worker.Kill()
		<-worker.Done()
		return nil, err
	}
	return worker, nil
}

// hold begins the Lease's life with its worker: its duration counts from now.
func (s *Server) hold(id string, worker *supervisor.Process, duration time.Duration) (lease.Lease, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.stopping {
		return lease.Lease{}, errors.New("the daemon is stopping")
	}
	granted, err := s.ledger.Renew(time.Now(), id, duration)
	if err != nil {
		return lease.Lease{}, err
	}
	s.watchOver(granted, worker, duration)
	s.counts.granted++
	s.publish(lease.Event{Kind: lease.EventGranted, Lease: granted})
	s.wakeExpire()
	return granted, nil
}

// watchOver holds a Lease that is in the ledger; the caller has the mutex.
func (s *Server) watchOver(granted lease.Lease, worker *supervisor.Process, duration time.Duration) {
	h := &hold{
		lease: granted, worker: worker, duration: duration, freed: make(chan struct{}),
		log: s.log.With("lease", granted.ID, "tenant", granted.Tenant, "holder", granted.Holder, "worker_pid", worker.PID),
	}
	s.held[granted.ID] = h
	s.holds.Add(1)
	go s.watch(h)
}

// abandon returns the Slices of a Lease that never got a worker, and tells those who wait for them.
func (s *Server) abandon(granted lease.Lease) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if _, err := s.ledger.End(granted.ID); err != nil && !errors.Is(err, lease.ErrNotFound) {
		s.log.Error("abandoning a lease", "lease", granted.ID, "error", err)
	}
	if err := s.ledger.Free(granted.ID); err != nil {
		s.log.Error("abandoning a lease", "lease", granted.ID, "error", err)
	}
	granted.Holder = "" // who asked for it learns from Grant's error why there is none
	s.publish(lease.Event{Kind: lease.EventReleased, Lease: granted})
}

// watch waits for the worker's end, whatever its cause, and frees the Lease's Slices.
func (s *Server) watch(h *hold) {
	defer s.holds.Done()
	select {
	case <-h.worker.Done():
	case <-s.left:
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	event := lease.Event{Kind: h.ending, Lease: h.lease}
	if h.ending == "" {
		event.Kind, event.Reason = lease.EventLost, h.worker.Reason()
		if s.stopping {
			event.Reason = "the daemon stops"
		}
		if ended, err := s.ledger.End(h.lease.ID); err == nil {
			event.Lease = ended
		}
	}
	if err := s.ledger.Free(h.lease.ID); err != nil {
		h.log.Error("freeing a lease", "error", err)
	}
	delete(s.held, h.lease.ID)
	s.counts.end(event.Kind, h.stats)
	s.publish(event)
	close(h.freed)
	if event.Kind == lease.EventLost {
		h.log.Error("lease lost: its worker died", "reason", event.Reason)
	} else {
		h.log.Info("lease ended", "kind", event.Kind)
	}
}

func (s *Server) renew(id string, duration time.Duration) (lease.Lease, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	renewed, err := s.ledger.Renew(time.Now(), id, duration)
	if err != nil {
		return lease.Lease{}, err
	}
	if h := s.held[id]; h != nil && h.duration != duration {
		if err := h.keep(renewed, duration); err != nil {
			h.log.Warn("the lease's new duration would not outlive this daemon", "error", err)
		}
	}
	s.publish(lease.Event{Kind: lease.EventRenewed, Lease: renewed})
	s.wakeExpire()
	return renewed, nil
}

// buildsKey says what builds for devices are good for.
func buildsKey(tenant string, devices []device.Device) buildcache.Key {
	var names []string
	for _, d := range devices {
		if !slices.Contains(names, d.Name) {
			names = append(names, d.Name)
		}
	}
	slices.Sort(names)
	return buildcache.Key{
		Tenant: tenant, Platform: devices[0].Platform, Device: strings.Join(names, ","), DriverVersion: devices[0].DriverVersion,
	}
}

// keepBuilds stores what a Lease's worker has compiled, for the tenant's next one.
func (s *Server) keepBuilds(ctx context.Context, id string) {
	s.mutex.Lock()
	h := s.held[id]
	if h == nil || h.packing {
		s.mutex.Unlock()
		return
	}
	h.packing = true
	devices := s.devicesOf(h.lease)
	s.mutex.Unlock()
	if devices == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, buildsTimeout)
	defer cancel()
	file, err := h.worker.Builds(ctx)
	if err == nil && file != nil {
		err = s.builds.Save(buildsKey(h.lease.Tenant, devices), file)
		file.Close()
	}
	if err != nil {
		h.log.Warn("what the lease's programs have built is not kept", "error", err)
	}
}

// release ends a Lease and waits until its Slices are free.
func (s *Server) release(ctx context.Context, id string) error {
	s.refreshStats(ctx, lastStatsTimeout, id)
	s.keepBuilds(ctx, id)
	s.mutex.Lock()
	_, err := s.ledger.End(id)
	h := s.held[id]
	if err == nil && h != nil {
		h.end(lease.EventReleased)
	}
	s.mutex.Unlock()
	if err != nil || h == nil {
		return err // without a hold, Grant is still at it, finds the Lease ended, and frees it
	}
	select {
	case <-h.freed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for lease %s's worker to end: %w", id, ctx.Err())
	}
}

// ByToken finds the Lease that a shim's token opens, and the protocol that its worker speaks.
func (s *Server) ByToken(token string) (held lease.Lease, protocolHash uint64, err error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	held, err = s.ledger.ByToken(time.Now(), token)
	if err != nil {
		return lease.Lease{}, 0, err
	}
	h := s.held[held.ID]
	if h == nil { // Grant is still at it: nobody has been told the token
		return lease.Lease{}, 0, fmt.Errorf("%w: %s", lease.ErrNotFound, held.ID)
	}
	return held, h.worker.Greeting().ProtocolHash, nil
}

// HandOver sends a shim's connection to the Lease's worker.
func (s *Server) HandOver(leaseID string, g session.Greeting) error {
	s.mutex.Lock()
	h := s.held[leaseID]
	s.mutex.Unlock()
	if h == nil {
		return fmt.Errorf("%w: %s", lease.ErrNotFound, leaseID)
	}
	return h.worker.HandOver(handover.Session{ID: g.SessionID, PID: g.PID, APIVersion: g.APIVersion}, g.Conn)
}

func randomHex(bytes int) string {
	random := make([]byte, bytes)
	rand.Read(random) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(random)
}
