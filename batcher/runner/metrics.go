package runner

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the Prometheus metrics of all lanes, labelled with tenant, function and version.
type metrics struct {
	requests  *prometheus.CounterVec
	batches   *prometheus.CounterVec
	pending   *prometheus.GaugeVec
	rows      *prometheus.HistogramVec
	queue     *prometheus.HistogramVec
	inference *prometheus.HistogramVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	labels := []string{"tenant", "function", "version"}
	seconds := prometheus.ExponentialBuckets(0.0001, 2, 20)
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_requests_total", Help: "Requests by how they ended.",
		}, append(labels, "outcome")),
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_batches_total", Help: "Batches by why they were released.",
		}, append(labels, "cause")),
		pending: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_requests_pending", Help: "Requests that wait or run.",
		}, labels),
		rows: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_batch_rows", Help: "Rows per batch.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}, labels),
		queue: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_queue_seconds", Help: "Time from a request's arrival to its dispatch.", Buckets: seconds,
		}, labels),
		inference: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_inference_seconds", Help: "Time that the function took for a batch.", Buckets: seconds,
		}, labels),
	}
	if registerer != nil {
		registerer.MustRegister(m.requests, m.batches, m.pending, m.rows, m.queue, m.inference)
	}
	return m
}

// forget drops the series of a Key.
func (m *metrics) forget(key Key) {
	labels := keyLabels(key)
	for _, vector := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		m.requests, m.batches, m.pending, m.rows, m.queue, m.inference,
	} {
		vector.DeletePartialMatch(labels)
	}
}

// meter is the part of metrics that belongs to one Key.
type meter struct {
	requests  *prometheus.CounterVec
	batches   *prometheus.CounterVec
	pending   prometheus.Gauge
	rows      prometheus.Observer
	queue     prometheus.Observer
	inference prometheus.Observer
}

func (m *metrics) meter(key Key) *meter {
	labels := keyLabels(key)
	return &meter{
		requests:  m.requests.MustCurryWith(labels),
		batches:   m.batches.MustCurryWith(labels),
		pending:   m.pending.With(labels),
		rows:      m.rows.With(labels),
		queue:     m.queue.With(labels),
		inference: m.inference.With(labels),
	}
}

func keyLabels(key Key) prometheus.Labels {
	return prometheus.Labels{"tenant": key.Tenant, "function": key.Function, "version": key.Version}
}

func (m *meter) count(outcome string) { m.requests.WithLabelValues(outcome).Inc() }

// outcome is the label under which the end of a request is counted.
func outcome(err error) string {
	switch {
	case err == nil:
		return "success"
	case errors.Is(err, ErrRequest), errors.Is(err, ErrQueueFull):
		return "rejected"
	case errors.Is(err, ErrExpired):
		return "expired"
	case errors.Is(err, ErrCancelled):
		return "cancelled"
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrNoRoute):
		return "unavailable"
	}
	return "failed"
}

// observe counts a batch that ran.
func (l *lane) observe(b *batch, err error, input, infer, output time.Duration) {
	l.meter.batches.WithLabelValues(string(b.Cause)).Inc()
	l.meter.rows.Observe(float64(b.Size))
	l.meter.inference.Observe(infer.Seconds())
	for _, c := range b.calls {
		l.meter.queue.Observe(waited(b, c).Seconds())
	}
	if err == nil {
		l.tallies.batch(b, input, infer, output)
	}
}

// waited is how long a call was queued.
func waited(b *batch, c *call) time.Duration { return time.Duration(b.dispatched - c.Arrival) }
