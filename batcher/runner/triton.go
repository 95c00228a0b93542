package runner

import (
	"errors"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/status"
)

// Values of the label reason of nv_inference_request_failure.
const (
	reasonRejected = "REJECTED" // by a limit or a deadline, before it ran
	reasonCanceled = "CANCELED"
	reasonBackend  = "BACKEND" // the function failed
	reasonOther    = "OTHER"
)

// failureReason is the label under which Triton's metrics count a failed request.
func failureReason(err error) string {
	switch {
	case errors.Is(err, ErrRequest), errors.Is(err, ErrQueueFull), errors.Is(err, errExpiredQueued), errors.Is(err, errLate):
		return reasonRejected
	case errors.Is(err, ErrCancelled):
		return reasonCanceled
	case errors.Is(err, ErrOutput), errors.Is(err, ErrUnavailable):
		return reasonBackend
	}
	var answered interface{ GRPCStatus() *status.Status }
	if errors.As(err, &answered) {
		return reasonBackend
	}
	return reasonOther
}

// tritonMetrics gives the counts of ModelStatistics under Triton's names and meanings (docs/user_guide/metrics.md), so that
// dashboards for it work here. Beside Triton's labels model and version they
// have ours, tenant.
type tritonMetrics struct{ runner *Runner }

type tritonMetric struct {
	of *prometheus.Desc
	// value is read with the tallies locked.
	value func(*tallies) float64
}

var tritonLabels = []string{"model", "version", "tenant"}

func tritonCounter(name, help string, value func(*tallies) float64) tritonMetric {
	return tritonMetric{prometheus.NewDesc(name, help, tritonLabels, nil), value}
}

func microseconds(t tally) float64 { return float64(t.ns) / 1000 }

var (
	tritonCounters = []tritonMetric{
		tritonCounter("nv_inference_request_success", "Requests that were answered.",
			func(t *tallies) float64 { return float64(t.success.count) }),
		tritonCounter("nv_inference_count", "Inferences: a request of n rows counts n.",
			func(t *tallies) float64 { return float64(t.rows) }),
		tritonCounter("nv_inference_exec_count", "Batches that ran.",
			func(t *tallies) float64 { return float64(t.batches) }),
		tritonCounter("nv_inference_request_duration_us", "Microseconds from request to answer, summed.",
			func(t *tallies) float64 { return microseconds(t.success) }),
		tritonCounter("nv_inference_queue_duration_us", "Microseconds in the queue, summed.",
			func(t *tallies) float64 { return microseconds(t.queue) }),
		tritonCounter("nv_inference_compute_input_duration_us", "Microseconds of joining inputs, summed.",
			func(t *tallies) float64 { return microseconds(t.compute.input) }),
		tritonCounter("nv_inference_compute_infer_duration_us", "Microseconds in the function, summed.",
			func(t *tallies) float64 { return microseconds(t.compute.infer) }),
		tritonCounter("nv_inference_compute_output_duration_us", "Microseconds of splitting outputs, summed.",
			func(t *tallies) float64 { return microseconds(t.compute.output) }),
	}
	tritonPending = prometheus.NewDesc("nv_inference_pending_request_count", "Requests in the queue.", tritonLabels, nil)
	tritonFailure = prometheus.NewDesc("nv_inference_request_failure", "Requests that failed, by why.", slices.Concat(tritonLabels, []string{"reason"}), nil)
)

// Describe implements prometheus.Collector.
func (tritonMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, m := range tritonCounters {
		descriptions <- m.of
	}
	descriptions <- tritonPending
	descriptions <- tritonFailure
}

// Collect implements prometheus.Collector.
func (m tritonMetrics) Collect(metrics chan<- prometheus.Metric) {
	m.runner.mu.RLock()
	lanes := make([]*lane, 0, len(m.runner.lanes))
	for _, l := range m.runner.lanes {
		lanes = append(lanes, l)
	}
	m.runner.mu.RUnlock()
	for _, l := range lanes {
		l.collect(metrics)
	}
}

func (l *lane) collect(metrics chan<- prometheus.Metric) {
	labels := []string{l.key.Function, l.key.Version, l.key.Tenant}
	l.mu.Lock()
	queued := len(l.queued)
	l.mu.Unlock()
	metrics <- prometheus.MustNewConstMetric(tritonPending, prometheus.GaugeValue, float64(queued), labels...)
	t := &l.tallies
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range tritonCounters {
		metrics <- prometheus.MustNewConstMetric(m.of, prometheus.CounterValue, m.value(t), labels...)
	}
	for _, reason := range []string{reasonRejected, reasonCanceled, reasonBackend, reasonOther} {
		metrics <- prometheus.MustNewConstMetric(tritonFailure, prometheus.CounterValue, float64(t.reasons[reason]), labels[0], labels[1], labels[2], reason)
	}
}
