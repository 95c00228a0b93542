package runner

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/batcher/runner/functiontest"
	"sluice/proto/gen/inference"
)

// TestMetrics lets requests end in each way, and compares what is counted under our names and under Triton's.
func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := startWith(t, Route{Policy: "window", MaxSize: 4, StartTimeout: time.Hour}, Config{Metrics: registry})

	expired, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := r.Infer(expired, simple, functiontest.Request(1, 0)); !errors.Is(err, errExpiredQueued) {
		t.Fatalf("without an instance: %v", err)
	}
	if _, err := r.Infer(t.Context(), simple, functiontest.Request(5, 0)); !errors.Is(err, ErrRequest) {
		t.Fatalf("too many rows: %v", err)
	}
	// The function's clock for a deadline is not its caller's: it must not answer before the caller has gone.
	gone := make(chan struct{})
	defer close(gone)
	serve(t, r, &functiontest.Function{Infer: func(call functiontest.Call) (*inference.ModelInferResponse, error) {
		if call.Request.GetInputs()[0].GetShape()[0] == 3 {
			<-gone
		}
		return functiontest.Simple(call)
	}}, 1)
	if _, err := r.Infer(t.Context(), simple, functiontest.Request(2, 0)); err != nil {
		t.Fatal(err)
	}
	running, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Infer(running, simple, functiontest.Request(3, 0)); !errors.Is(err, errExpiredRunning) {
		t.Fatalf("a function that takes too long: %v", err)
	}

	got := make(map[string]float64)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				if label.GetName() == "cause" || label.GetName() == "outcome" || label.GetName() == "reason" {
					name += " " + label.GetValue()
				}
			}
			got[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"sluice_requests_total success": 1, "sluice_requests_total rejected": 1, "sluice_requests_total expired": 2,
		"sluice_deadline_misses_total queued": 1, "sluice_deadline_misses_total running": 1,
		"sluice_deadline_misses_total late": 0,
		"nv_inference_request_success":      1, "nv_inference_request_failure REJECTED": 2, "nv_inference_request_failure CANCELED": 0,
		"nv_inference_request_failure BACKEND": 0, "nv_inference_request_failure OTHER": 1,
		"nv_inference_count": 2, "nv_inference_exec_count": 1, "nv_inference_pending_request_count": 0,
	} {
		if value, there := got[name]; !there || value != want {
			t.Errorf("%s is %v (there: %v), want %v", name, value, there, want)
		}
	}
	for _, name := range []string{"request", "queue", "compute_input", "compute_infer", "compute_output"} {
		if got["nv_inference_"+name+"_duration_us"] <= 0 {
			t.Errorf("nv_inference_%s_duration_us is %v", name, got["nv_inference_"+name+"_duration_us"])
		}
	}
}
