package server

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/broker/device"
	"sluice/broker/handover"
	"sluice/broker/lease"
)

// statsTimeout bounds the wait for the workers' counts in a scrape.
const statsTimeout = time.Second

// counts are of what is over.
type counts struct {
	granted  uint64
	released uint64
	expired  uint64
	lost     uint64
	past     handover.Stats // summed over the workers that are gone
	health   map[healthCount]uint64
}

// healthCount is what health events are counted by.
type healthCount struct {
	device string
	kind   device.HealthKind
}

func (c *counts) end(kind lease.EventKind, stats handover.Stats) {
	switch kind {
	case lease.EventReleased:
		c.released++
	case lease.EventExpired:
		c.expired++
	default:
		c.lost++
	}
	c.past = sum(c.past, stats)
}

// sum adds what counts up.
func sum(a, b handover.Stats) handover.Stats {
	return handover.Stats{
		Sessions: a.Sessions + b.Sessions, Calls: a.Calls + b.Calls,
		BytesToDevice: a.BytesToDevice + b.BytesToDevice, BytesFromDevice: a.BytesFromDevice + b.BytesFromDevice,
	}
}

// refreshStats asks the workers of the given Leases for their counts, all at once. One that does not answer keeps its
// last.
func (s *Server) refreshStats(ctx context.Context, timeout time.Duration, leaseIDs ...string) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var asked sync.WaitGroup
	for _, id := range leaseIDs {
		s.mutex.Lock()
		h := s.held[id]
		s.mutex.Unlock()
		if h == nil {
			continue
		}
		asked.Go(func() {
			stats, err := h.worker.Stats(ctx)
			if err != nil {
				h.log.Debug("worker tells no counts", "error", err)
				return
			}
			s.mutex.Lock()
			defer s.mutex.Unlock()
			h.stats = stats
		})
	}
	asked.Wait()
}

// collector shows the broker to Prometheus.
type collector struct {
	server *Server
}

// Collector makes the broker's metrics. A scrape asks every worker.
func (s *Server) Collector() prometheus.Collector { return collector{s} }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sluice_"+name, help, labels, nil)
}

var (
	deviceMemory  = describe("device_memory_bytes", "Memory of a device of the pool.", "device")
	deviceLeased  = describe("device_memory_leased_bytes", "Memory of a device that leases hold.", "device")
	deviceHealth  = describe("device_health_events_total", "What a management library reported of a device.", "device", "kind")
	leasesNow     = describe("leases", "Leases that are granted.", "tenant")
	leasesGranted = describe("leases_granted_total", "Leases granted since the daemon's start.")
	leasesEnded   = describe("leases_ended_total", "Leases ended since the daemon's start.", "kind")

	greetings     = describe("session_greetings_total", "Connections of shims by what became of them.", "result")
	sessionsTotal = describe("sessions_total", "Sessions served.")
	callsTotal    = describe("forwarded_calls_total", "API calls forwarded to devices.")
	toDevice      = describe("forwarded_bytes_to_device_total", "Bytes of buffers and transfers sent to devices.")
	fromDevice    = describe("forwarded_bytes_from_device_total", "Bytes of buffers and transfers sent from devices.")

	leaseLabels     = []string{"lease", "tenant", "holder"}
	leaseSessions   = describe("lease_sessions", "Open sessions of a lease.", leaseLabels...)
	leaseCalls      = describe("lease_forwarded_calls_total", "API calls forwarded for a lease.", leaseLabels...)
	leaseToDevice   = describe("lease_bytes_to_device_total", "Bytes sent to the device for a lease.", leaseLabels...)
	leaseFromDevice = describe("lease_bytes_from_device_total", "Bytes sent from the device for a lease.", leaseLabels...)
	leaseMemory     = describe("lease_memory_bytes", "Device memory that a lease's program has allocated.", leaseLabels...)
)

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		deviceMemory, deviceLeased, deviceHealth, leasesNow, leasesGranted, leasesEnded, greetings, sessionsTotal, callsTotal, toDevice,
		fromDevice, leaseSessions, leaseCalls, leaseToDevice, leaseFromDevice, leaseMemory,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s := c.server
	s.mutex.Lock()
	ids := make([]string, 0, len(s.held))
	for id := range s.held {
		ids = append(ids, id)
	}
	s.mutex.Unlock()
	s.refreshStats(context.Background(), statsTimeout, ids...)

	counter := func(d *prometheus.Desc, value uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	gauge := func(d *prometheus.Desc, value uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, d := range s.ledger.Devices() {
		free, _ := s.ledger.Available(d.ID)
		gauge(deviceMemory, d.MemoryBytes, d.ID)
		gauge(deviceLeased, d.MemoryBytes-free, d.ID)
	}
	for of, n := range s.counts.health {
		counter(deviceHealth, n, of.device, string(of.kind))
	}
	total, byTenant := s.counts.past, map[string]uint64{}
	for _, h := range s.held {
		labels := []string{h.lease.ID, h.lease.Tenant, h.lease.Holder}
		gauge(leaseSessions, h.stats.SessionsOpen, labels...)
		counter(leaseCalls, h.stats.Calls, labels...)
		counter(leaseToDevice, h.stats.BytesToDevice, labels...)
		counter(leaseFromDevice, h.stats.BytesFromDevice, labels...)
		gauge(leaseMemory, h.stats.MemoryBytes, labels...)
		byTenant[h.lease.Tenant]++
		total = sum(total, h.stats)
	}
	for tenant, n := range byTenant {
		gauge(leasesNow, n, tenant)
	}
	counter(leasesGranted, s.counts.granted)
	counter(leasesEnded, s.counts.released, string(lease.EventReleased))
	counter(leasesEnded, s.counts.expired, string(lease.EventExpired))
	counter(leasesEnded, s.counts.lost, string(lease.EventLost))
	shims := s.listener.Counts()
	counter(greetings, shims.HandedOver, "handed_over")
	counter(greetings, shims.Refused, "refused")
	counter(sessionsTotal, total.Sessions)
	counter(callsTotal, total.Calls)
	counter(toDevice, total.BytesToDevice)
	counter(fromDevice, total.BytesFromDevice)
}
