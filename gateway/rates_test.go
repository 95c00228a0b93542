package gateway

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/batcher/runner/functiontest"
	"sluice/proto/gen/inference"
	"sluice/store"
)

// A tenant's rate bounds all its calls together and nobody else's; the error names the limit.
func TestRateLimit(t *testing.T) {
	const once = 1e-6 // one call, and the next in days
	f := startLimited(t, "default", functiontest.Simple, map[string]store.TenantLimits{"other": {RequestsPerSecond: once}})
	other := as(t, "sluice-api-key", "secret")
	request := functiontest.Request(1, 0)
	request.ModelName = "alone"
	if _, err := f.ModelInfer(other, request); err != nil {
		t.Fatal(err)
	}
	_, infer := f.ModelInfer(other, request)
	_, ready := f.ModelReady(other, &inference.ModelReadyRequest{Name: "alone"})
	_, statistics := f.ModelStatistics(other, &inference.ModelStatisticsRequest{})
	for name, err := range map[string]error{"ModelInfer": infer, "ModelReady": ready, "ModelStatistics": statistics} {
		if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "requests_per_second is 1e-06") {
			t.Errorf("%s beyond the rate: %v", name, err)
		}
	}
	for range 3 {
		if _, err := f.ModelInfer(t.Context(), functiontest.Request(1, 0)); err != nil {
			t.Errorf("another tenant: %v", err)
		}
	}
}

func TestRatesChange(t *testing.T) {
	var r rates
	slow := store.Tenant{Name: "acme", Limits: store.TenantLimits{RequestsPerSecond: 1e-6}}
	if err := r.take(slow); err != nil {
		t.Error(err)
	}
	if r.take(slow) == nil {
		t.Error("a second call is let through")
	}
	free := store.Tenant{Name: "acme"}
	if err := r.take(free); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	if r.take(slow) == nil {
		t.Error("the limit is back, and a call is let through")
	}
}

func TestSizeLimit(t *testing.T) {
	f := startLimited(t, "default", functiontest.Simple, map[string]store.TenantLimits{"default": {RequestBytes: 300}})
	if _, err := f.ModelInfer(t.Context(), functiontest.Request(1, 0)); err != nil {
		t.Fatal(err)
	}
	_, err := f.ModelInfer(t.Context(), functiontest.Request(3, 0))
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "request_bytes is 300, the request has") {
		t.Errorf("request beyond the size: %v", err)
	}
}
