package top

import (
	"math"
	"strings"
	"testing"
	"time"
)

const earlierText = `# TYPE sluice_requests_total counter
sluice_requests_total{tenant="default",function="digits",version="1",outcome="success"} 100
# TYPE sluice_batch_rows histogram
sluice_batch_rows_bucket{tenant="default",function="digits",version="1",le="+Inf"} 10
sluice_batch_rows_sum{tenant="default",function="digits",version="1"} 100
sluice_batch_rows_count{tenant="default",function="digits",version="1"} 10
`

const laterText = `# TYPE sluice_requests_total counter
sluice_requests_total{tenant="default",function="digits",version="1",outcome="success"} 120
sluice_requests_total{tenant="default",function="digits",version="2",outcome="success"} 70
sluice_requests_total{tenant="default",function="digits",version="2",outcome="failed"} 10
sluice_requests_total{tenant="other",function="digits",version="1",outcome="success"} 2
# TYPE sluice_requests_pending gauge
sluice_requests_pending{tenant="default",function="digits",version="2"} 7
# TYPE sluice_batch_rows histogram
sluice_batch_rows_bucket{tenant="default",function="digits",version="1",le="+Inf"} 30
sluice_batch_rows_sum{tenant="default",function="digits",version="1"} 200
sluice_batch_rows_count{tenant="default",function="digits",version="1"} 30
# TYPE sluice_queue_seconds histogram
sluice_queue_seconds_bucket{tenant="default",function="digits",version="1",le="0.01"} 50
sluice_queue_seconds_bucket{tenant="default",function="digits",version="1",le="0.02"} 100
sluice_queue_seconds_bucket{tenant="default",function="digits",version="1",le="+Inf"} 100
sluice_queue_seconds_sum{tenant="default",function="digits",version="1"} 1
sluice_queue_seconds_count{tenant="default",function="digits",version="1"} 100
# TYPE sluice_lease_memory_bytes gauge
sluice_lease_memory_bytes{lease="a",tenant="default",holder="digits-1"} 1024
# TYPE sluice_lease_forwarded_calls_total counter
sluice_lease_forwarded_calls_total{lease="a",tenant="default",holder="digits-1"} 500
`

func parse(t *testing.T, text string, second int64, holdings ...Holding) Sample {
	t.Helper()
	sample, err := Parse(strings.NewReader(text), time.Unix(second, 0), holdings)
	if err != nil {
		t.Fatal(err)
	}
	return sample
}

// Versions of a function are one row; tenants are apart.
func TestCompare(t *testing.T) {
	digits := Function{"default", "digits"}
	rows := Compare(parse(t, earlierText, 0), parse(t, laterText, 10,
		Holding{digits, "digits-1", 4096}, Holding{digits, "digits-2", 4096}, Holding{Function{"default", "idle"}, "idle-1", 0}))
	want := []Row{
		{
			Function: digits, Instances: 2, RequestsPerSecond: 10, FailuresPerSecond: 1, Pending: 7, BatchRows: 5, QueueMs: 10,
			CallsPerSecond: 50, SliceUsedBytes: 1024, SliceMemoryBytes: 8192,
		},
		{Function: Function{"default", "idle"}, Instances: 1},
		{Function: Function{"other", "digits"}, RequestsPerSecond: 0.2},
	}
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d: %+v", len(rows), len(want), rows)
	}
	for i := range want {
		if rows[i] != want[i] {
			t.Errorf("row %d\n%+v, want\n%+v", i, rows[i], want[i])
		}
	}
}

// A daemon that was started anew counts from zero: no rate is negative.
func TestCompareOverARestart(t *testing.T) {
	for _, row := range Compare(parse(t, laterText, 0), parse(t, earlierText, 10)) {
		if row.RequestsPerSecond != 10 || row.FailuresPerSecond < 0 || row.BatchRows != 10 {
			t.Errorf("row %+v", row)
		}
	}
}

func TestQuantile(t *testing.T) {
	h := histogram{count: 100, below: map[float64]float64{1: 0, 2: 50, 4: 90, math.Inf(1): 100}}
	for q, want := range map[float64]float64{0.25: 1.5, 0.5: 2, 0.7: 3, 0.99: 4} {
		if got := h.quantile(q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := (histogram{}).quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestMalformedMetricsAreRefused(t *testing.T) {
	if _, err := Parse(strings.NewReader("sluice_requests_total{"), time.Time{}, nil); err == nil {
		t.Error("no error")
	}
}
