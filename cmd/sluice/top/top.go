// Package top tells from two readings of the daemon's metrics what each function does: how many requests it answers, how large
// its batches are, how long requests wait and run, and what it uses of its slices. It reads no clock and does no I/O.
package top

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// The metrics that are read; docs/metrics.md describes them.
const (
	requestsMetric  = "sluice_requests_total"
	pendingMetric   = "sluice_requests_pending"
	rowsMetric      = "sluice_batch_rows"
	queueMetric     = "sluice_queue_seconds"
	inferenceMetric = "sluice_inference_seconds"
	allocatedMetric = "sluice_lease_memory_bytes"
	callsMetric     = "sluice_lease_forwarded_calls_total"
)

// outcomeSuccess is the value of the label outcome for requests that were answered.
const outcomeSuccess = "success"

// Function names one function.
type Function struct {
	Tenant   string `json:"tenant"`
	Function string `json:"function"`
}

// Holding is one instance, and what its lease grants.
type Holding struct {
	Of          Function
	Instance    string
	MemoryBytes uint64 // of the slices that it holds
}

// Sample is one reading.
type Sample struct {
	At       time.Time
	Holdings []Holding
	families map[string]*dto.MetricFamily
}

// Row is what one function did between two readings.
type Row struct {
	Function

	Instances         int     `json:"instances"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	FailuresPerSecond float64 `json:"failures_per_second"` // of those, requests that got an error
	Pending           int     `json:"pending"`             // requests that wait or run
	BatchRows         float64 `json:"batch_rows"`          // mean; 0 without a batch
	QueueMs           float64 `json:"queue_ms"`            // median; 0 without a request
	InferenceMs       float64 `json:"inference_ms"`        // median of a batch
	InferenceP99Ms    float64 `json:"inference_p99_ms"`
	CallsPerSecond    float64 `json:"calls_per_second"` // forwarded to devices
	SliceUsedBytes    uint64  `json:"slice_used_bytes"` // device memory that its programs have allocated
	SliceMemoryBytes  uint64  `json:"slice_memory_bytes"`
}

// Parse reads the metrics' text.
func Parse(text io.Reader, at time.Time, holdings []Holding) (Sample, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(text)
	if err != nil {
		return Sample{}, fmt.Errorf("reading metrics: %w", err)
	}
	return Sample{at, holdings, families}, nil
}

// Functions lists the functions that a Sample knows of, by tenant and name.
func (s Sample) Functions() []Function {
	seen := make(map[Function]bool)
	for _, name := range []string{requestsMetric, pendingMetric} {
		for _, metric := range s.families[name].GetMetric() {
			seen[Function{label(metric, "tenant"), label(metric, "function")}] = true
		}
	}
	for _, h := range s.Holdings {
		seen[h.Of] = true
	}
	var functions []Function
	for f := range seen {
		functions = append(functions, f)
	}
	slices.SortFunc(functions, func(a, b Function) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Function, b.Function))
	})
	return functions
}

// Compare tells what each function of the later Sample did since the earlier one. A counter that is less than before has been
// started anew, with the daemon, and counts from zero.
func Compare(earlier, later Sample) []Row {
	seconds := max(later.At.Sub(earlier.At).Seconds(), math.SmallestNonzeroFloat64)
	rows := []Row{}
	for _, f := range later.Functions() {
		of := func(metric *dto.Metric) bool {
			return label(metric, "tenant") == f.Tenant && label(metric, "function") == f.Function
		}
		answered := func(metric *dto.Metric) bool { return of(metric) && label(metric, "outcome") == outcomeSuccess }
		all := since(earlier.sum(requestsMetric, of), later.sum(requestsMetric, of))
		ok := since(earlier.sum(requestsMetric, answered), later.sum(requestsMetric, answered))
		batches := later.histogram(rowsMetric, of).since(earlier.histogram(rowsMetric, of))
		queue := later.histogram(queueMetric, of).since(earlier.histogram(queueMetric, of))
		inference := later.histogram(inferenceMetric, of).since(earlier.histogram(inferenceMetric, of))
		row := Row{
			Function:          f,
			RequestsPerSecond: all / seconds, FailuresPerSecond: max(all-ok, 0) / seconds,
			Pending: int(later.sum(pendingMetric, of)), BatchRows: batches.mean(),
			QueueMs: queue.quantile(0.5) * 1e3, InferenceMs: inference.quantile(0.5) * 1e3, InferenceP99Ms: inference.quantile(0.99) * 1e3,
		}
		for _, h := range later.Holdings {
			if h.Of != f {
				continue
			}
			held := func(metric *dto.Metric) bool { return label(metric, "holder") == h.Instance }
			row.Instances++
			row.SliceMemoryBytes += h.MemoryBytes
			row.SliceUsedBytes += uint64(later.sum(allocatedMetric, held))
			row.CallsPerSecond += since(earlier.sum(callsMetric, held), later.sum(callsMetric, held)) / seconds
		}
		rows = append(rows, row)
	}
	return rows
}

func since(earlier, later float64) float64 {
	if later < earlier {
		return later
	}
	return later - earlier
}

// sum adds the counters or gauges of a name that match.
func (s Sample) sum(name string, match func(*dto.Metric) bool) (total float64) {
	for _, metric := range s.families[name].GetMetric() {
		if match(metric) {
			total += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + metric.GetUntyped().GetValue()
		}
	}
	return total
}

func label(metric *dto.Metric, name string) string {
	for _, pair := range metric.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}
