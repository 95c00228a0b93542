package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"sluice/batcher/runner"
	"sluice/batcher/runner/functiontest"
	"sluice/gateway"
	"sluice/proto/gen/inference"
	"sluice/store"
)

// otlp is a collector of OpenTelemetry's protocol.
type otlp struct {
	collector.UnimplementedTraceServiceServer
	mutex sync.Mutex
	spans []*spans.Span
	names []string // of the services
}

func (c *otlp) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, resource := range request.GetResourceSpans() {
		for _, attribute := range resource.GetResource().GetAttributes() {
			if attribute.GetKey() == "service.name" {
				c.names = append(c.names, attribute.GetValue().GetStringValue())
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	return new(collector.ExportTraceServiceResponse), nil
}

// in lists the spans of a trace by name.
func (c *otlp) in(trace string) map[string]*spans.Span {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	found := make(map[string]*spans.Span)
	for _, span := range c.spans {
		if hex.EncodeToString(span.GetTraceId()) == trace {
			found[span.GetName()] = span
		}
	}
	return found
}

func listenAnywhere(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// startCollector serves a collector, and has the environment name it.
func startCollector(t *testing.T) *otlp {
	t.Helper()
	c := new(otlp)
	server, listener := grpc.NewServer(), listenAnywhere(t)
	collector.RegisterTraceServiceServer(server, c)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
	return c
}

// Two requests, one over each door and each in a trace of its client's, share a batch: each trace has the request's way, and the
// function gets the context of the batch.
func TestTracing(t *testing.T) {
	c := startCollector(t)
	traces, err := openTracing(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := newTestRollout(t, openBolt(t, filepath.Join(t.TempDir(), "store")))
	r.routes = runner.New(runner.Config{Tracer: traces.tracer()})
	spec := testSpec(t, "simple")
	spec.Batch = store.Batch{Policy: "window", MaxSize: 2, MaxWait: time.Hour}
	version, err := r.deploy(t.Context(), store.DefaultTenant, spec)
	if err != nil {
		t.Fatal(err)
	}
	key := runner.Key{Tenant: store.DefaultTenant, Function: "simple", Version: version.Number}
	function := new(functiontest.Function)
	target, _ := functiontest.Start(t, function)
	if err := r.routes.AddEndpoint(key, runner.Endpoint{Instance: "instance", Target: target, Concurrency: 1}); err != nil {
		t.Fatal(err)
	}
	front := gateway.New(gateway.Config{
		Tenants: anybody{}, Functions: r, Runner: r.routes, DefaultTenant: store.DefaultTenant, Tracer: traces.tracer(),
	})
	door, web := listenAnywhere(t), listenAnywhere(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { noError(t, front.Run(ctx, door)) })
	running.Go(func() { noError(t, front.RunHTTP(ctx, web)) })

	const one, two = "11111111111111111111111111111111", "22222222222222222222222222222222"
	var asked sync.WaitGroup
	asked.Go(func() { noError(t, askTraced(t.Context(), door.Addr().String(), one)) })
	asked.Go(func() {
		request, err := http.NewRequest(http.MethodPost, "http://"+web.Addr().String()+"/v2/models/simple/infer", bytes.NewReader(tracedJSON()))
		if err != nil {
			t.Error(err)
			return
		}
		request.Header.Set("traceparent", "00-"+two+"-3333333333333333-01")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Error(err)
			return
		}
		noError(t, response.Body.Close())
	})
	asked.Wait()
	cancel()
	running.Wait()
	noError(t, r.routes.Run(ctx))
	noError(t, traces.Close())
	checkTraces(t, c, function, one, two)
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

type anybody struct{}

func (anybody) TenantOf(string) (store.Tenant, error)    { return store.Tenant{}, store.ErrNotFound }
func (anybody) Tenant(name string) (store.Tenant, error) { return store.Tenant{Name: name}, nil }

func askTraced(ctx context.Context, address, trace string) error {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", "00-"+trace+"-4444444444444444-01")
	_, err = inference.NewGRPCInferenceServiceClient(connection).ModelInfer(ctx, functiontest.Request(1, 0))
	return err
}

func tracedJSON() []byte {
	row := strings.TrimSuffix(strings.Repeat("1,", 16), ",")
	return []byte(`{"inputs":[{"name":"INPUT0","datatype":"INT32","shape":[1,16],"data":[` + row + `]},` +
		`{"name":"INPUT1","datatype":"INT32","shape":[1,16],"data":[` + row + `]}]}`)
}

func checkTraces(t *testing.T, c *otlp, function *functiontest.Function, one, two string) {
	t.Helper()
	if len(c.names) == 0 || c.names[0] != "sluice" {
		t.Errorf("spans are of %q", c.names)
	}
	first, second := c.in(one), c.in(two)
	leader, other := first, second // the batch is in the trace of whichever came first
	if leader["batch"] == nil {
		leader, other = second, first
	}
	for name, trace := range map[string]map[string]*spans.Span{"leader": leader, "other": other} {
		request, queue := trace["ModelInfer"], trace["queue"]
		if request == nil || queue == nil || !bytes.Equal(queue.GetParentSpanId(), request.GetSpanId()) {
			t.Fatalf("the trace of the %s has %v", name, trace)
		}
		if request.GetKind() != spans.Span_SPAN_KIND_SERVER || len(request.GetParentSpanId()) == 0 {
			t.Errorf("the request's span: %v", request)
		}
	}
	batch, infer := leader["batch"], other["infer"]
	if batch == nil || !bytes.Equal(batch.GetParentSpanId(), leader["ModelInfer"].GetSpanId()) ||
		len(batch.GetLinks()) != 1 || !bytes.Equal(batch.GetLinks()[0].GetSpanId(), other["ModelInfer"].GetSpanId()) {
		t.Errorf("the batch's span: %v", batch)
	}
	if infer == nil || len(infer.GetLinks()) != 1 || !bytes.Equal(infer.GetLinks()[0].GetSpanId(), batch.GetSpanId()) {
		t.Errorf("the other request's span: %v", infer)
	}
	calls := function.Calls()
	if len(calls) != 1 {
		t.Fatalf("%d calls reached the function", len(calls))
	}
	want := "00-" + hex.EncodeToString(batch.GetTraceId()) + "-" + hex.EncodeToString(batch.GetSpanId()) + "-01"
	if got := calls[0].Metadata.Get("traceparent"); len(got) != 1 || got[0] != want {
		t.Errorf("the function got traceparent %q, want %q", got, want)
	}
}

func TestTracingIsOptIn(t *testing.T) {
	traces, err := openTracing(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil || traces.tracer() != nil {
		t.Errorf("without a collector: %v, %v", traces, err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	if _, err := openTracing(t.Context(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_PROTOCOL") {
		t.Errorf("a protocol that is not spoken: %v", err)
	}
}
