package server

import (
	"encoding/json"
	"fmt"
	"time"

	"sluice/broker/lease"
	"sluice/broker/supervisor"
)

// record is what is kept of a Lease beside its worker, for the next daemon.
type record struct {
	Lease    lease.Lease   `json:"lease"`
	Duration time.Duration `json:"duration_ns"` // of the grant, or of the last renewal that asked for another
}

func encodeRecord(granted lease.Lease, duration time.Duration) ([]byte, error) {
	kept, err := json.Marshal(record{granted, duration})
	if err != nil {
		return nil, fmt.Errorf("recording lease %s: %w", granted.ID, err)
	}
	return kept, nil
}

// keep records a renewal that asks for another duration than the last. The caller has Server.mutex.
func (h *hold) keep(renewed lease.Lease, duration time.Duration) error {
	kept, err := encodeRecord(renewed, duration)
	if err == nil {
		err = h.worker.Keep(kept)
	}
	if err == nil {
		h.duration = duration
	}
	return err
}

// adoptAll takes over the Leases of an earlier daemon whose workers run; a worker without a usable record is ended.
func (s *Server) adoptAll() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, worker := range s.supervisor.Adopted() {
		adopted, err := s.adopt(worker)
		if err != nil {
			s.log.Error("a lease of an earlier daemon is lost", "worker_pid", worker.PID, "error", err)
			worker.Kill()
			continue
		}
		s.log.Info("lease adopted", "lease", adopted.ID, "tenant", adopted.Tenant, "holder", adopted.Holder,
			"devices", adopted.Devices(), "memory_bytes", adopted.MemoryBytes(), "worker_pid", worker.PID)
	}
}

func (s *Server) adopt(worker *supervisor.Process) (lease.Lease, error) {
	var kept record
	if err := json.Unmarshal(worker.Record(), &kept); err != nil {
		return lease.Lease{}, fmt.Errorf("malformed record: %w", err)
	}
	if served := worker.Greeting().LeaseID; served != kept.Lease.ID {
		return lease.Lease{}, fmt.Errorf("the worker serves lease %s, its record is of %s", served, kept.Lease.ID)
	}
	adopted, err := s.ledger.Adopt(time.Now(), kept.Lease, kept.Duration)
	if err != nil {
		return lease.Lease{}, err
	}
	s.watchOver(adopted, worker, kept.Duration)
	return adopted, nil
}

// Leave makes the end of Run leave Leases and their workers as they are, for the next daemon to adopt. It is called
// before Run's context ends.
func (s *Server) Leave() {
	s.leaving.Store(true)
	s.supervisor.Leave()
}
