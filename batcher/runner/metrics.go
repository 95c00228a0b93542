package runner

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/batcher"
)

// metrics are the Prometheus metrics of all lanes, labelled with tenant, function and version.
type metrics struct {
	requests  *prometheus.CounterVec
	misses    *prometheus.CounterVec
	batches   *prometheus.CounterVec
	pending   *prometheus.GaugeVec
	rows      *prometheus.HistogramVec
	queue     *prometheus.HistogramVec
	inference *prometheus.HistogramVec
	expected  *prometheus.HistogramVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	labels := []string{"tenant", "function", "version"}
	seconds := prometheus.ExponentialBuckets(0.0001, 2, 20)
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_requests_total", Help: "Requests by how they ended.",
		}, append(labels, "outcome")),
		misses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_deadline_misses_total", Help: "Requests whose deadline was not met, by where they were.",
		}, append(labels, "cause")),
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
		expected: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_batch_duration_ratio", Help: "How long a batch took, divided by how long it was expected to.",
			Buckets: []float64{0.5, 0.7, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.2, 1.5, 2, 4},
		}, labels),
	}
	if registerer != nil {
		registerer.MustRegister(m.requests, m.misses, m.batches, m.pending, m.rows, m.queue, m.inference, m.expected)
	}
	return m
}

// forget drops the series of a Key.
func (m *metrics) forget(key Key) {
	labels := keyLabels(key)
	for _, vector := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		m.requests, m.misses, m.batches, m.pending, m.rows, m.queue, m.inference, m.expected,
	} {
		vector.DeletePartialMatch(labels)
	}
}

// meter is the part of metrics that belongs to one Key.
type meter struct {
	requests  counters
	misses    counters
	batches   counters
	pending   prometheus.Gauge
	rows      prometheus.Observer
	queue     prometheus.Observer
	inference prometheus.Observer
	expected  prometheus.Observer
}

func (m *metrics) meter(key Key) *meter {
	labels := keyLabels(key)
	return &meter{
		requests:  newCounters(m.requests.MustCurryWith(labels), outcomes),
		misses:    newCounters(m.misses.MustCurryWith(labels), missCauses),
		batches:   newCounters(m.batches.MustCurryWith(labels), batcher.Causes),
		pending:   m.pending.With(labels),
		rows:      m.rows.With(labels),
		queue:     m.queue.With(labels),
		inference: m.inference.With(labels),
		expected:  m.expected.With(labels),
	}
}

// counters are those of a vector by the value of its one label.
type counters map[string]prometheus.Counter

// newCounters begins a counter for each value, since a rate is known only of a series that was there before the first count.
func newCounters[Value ~string](of *prometheus.CounterVec, values []Value) counters {
	made := make(counters, len(values))
	for _, value := range values {
		made[string(value)] = of.WithLabelValues(string(value))
	}
	return made
}

func keyLabels(key Key) prometheus.Labels {
	return prometheus.Labels{"tenant": key.Tenant, "function": key.Function, "version": key.Version}
}

// count counts a request that has ended.
func (l *lane) count(err error, took time.Duration) {
	l.meter.requests[outcome(err)].Inc()
	if cause := missCause(err); cause != "" {
		l.meter.misses[cause].Inc()
	}
	l.tallies.request(err, took)
}

// How a request can end.
const (
	outcomeSuccess     = "success"
	outcomeRejected    = "rejected"
	outcomeExpired     = "expired"
	outcomeCancelled   = "cancelled"
	outcomeUnavailable = "unavailable"
	outcomeFailed      = "failed"
)

var outcomes = []string{outcomeSuccess, outcomeRejected, outcomeExpired, outcomeCancelled, outcomeUnavailable, outcomeFailed}

// outcome is the label under which the end of a request is counted.
func outcome(err error) string {
	switch {
	case err == nil:
		return outcomeSuccess
	case errors.Is(err, ErrRequest), errors.Is(err, ErrQueueFull):
		return outcomeRejected
	case errors.Is(err, ErrExpired):
		return outcomeExpired
	case errors.Is(err, ErrCancelled):
		return outcomeCancelled
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrNoRoute):
		return outcomeUnavailable
	}
	return outcomeFailed
}

// observe counts a batch that ran.
func (l *lane) observe(b *batch, err error, input, infer, output time.Duration) {
	l.meter.batches[string(b.Cause)].Inc()
	l.meter.rows.Observe(float64(b.Size))
	l.meter.inference.Observe(infer.Seconds())
	if b.Expected > 0 && err == nil {
		l.meter.expected.Observe(float64(l.runner.now()-b.dispatched) / float64(b.Expected))
	}
	for _, c := range b.calls {
		l.meter.queue.Observe(waited(b, c).Seconds())
	}
	if err == nil {
		l.tallies.batch(b, input, infer, output)
	}
}

// waited is how long a call was queued.
func waited(b *batch, c *call) time.Duration { return time.Duration(b.dispatched - c.Arrival) }
