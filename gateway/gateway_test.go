package gateway

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"sluice/batcher/runner"
	"sluice/batcher/runner/functiontest"
	"sluice/proto/gen/inference"
	"sluice/store"
)

// directory is what is deployed, and whose keys there are.
type directory struct {
	keys   map[string]string
	models []runner.Key
	limits map[string]store.TenantLimits
}

func (d directory) TenantOf(key string) (store.Tenant, error) {
	if tenant, ok := d.keys[key]; ok {
		return d.Tenant(tenant)
	}
	return store.Tenant{}, fmt.Errorf("API key: %w", store.ErrNotFound)
}

func (d directory) Tenant(name string) (store.Tenant, error) {
	return store.Tenant{Name: name, Limits: d.limits[name]}, nil
}

func (d directory) Resolve(_ context.Context, tenant, model, version string) (runner.Key, error) {
	for _, key := range d.models {
		if key.Tenant == tenant && key.Function == model && (version == "" || version == key.Version) {
			return key, nil
		}
	}
	return runner.Key{}, store.ErrNotFound
}

func (d directory) List(_ context.Context, tenant string) (keys []runner.Key, err error) {
	for _, key := range d.models {
		if key.Tenant == tenant {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// fixture is a gateway before three functions: `simple` of the default tenant, which batches, `alone` of another, and
// `under-scored` of a third.
type fixture struct {
	inference.GRPCInferenceServiceClient
	connection *grpc.ClientConn
	function   *functiontest.Function
	address    string
	url        string // over HTTP
	demand     *demand
}

func start(t *testing.T, defaultTenant string) *fixture {
	t.Helper()
	return startWith(t, defaultTenant, functiontest.Simple)
}

func startWith(t *testing.T, defaultTenant string, infer func(functiontest.Call) (*inference.ModelInferResponse, error)) *fixture {
	t.Helper()
	return startLimited(t, defaultTenant, infer, nil)
}

func startLimited(
	t *testing.T, defaultTenant string, infer func(functiontest.Call) (*inference.ModelInferResponse, error), limits map[string]store.TenantLimits,
) *fixture {
	t.Helper()
	return startConfigured(t, Config{DefaultTenant: defaultTenant}, infer, limits)
}

// startConfigured completes a configuration.
func startConfigured(
	t *testing.T, config Config, infer func(functiontest.Call) (*inference.ModelInferResponse, error), limits map[string]store.TenantLimits,
) *fixture {
	t.Helper()
	simple := runner.Key{Tenant: "default", Function: "simple", Version: "2"}
	alone := runner.Key{Tenant: "other", Function: "alone", Version: "1"}
	underScored := runner.Key{Tenant: "third", Function: "under-scored", Version: "1"}
	waiting := newDemand()
	r := runner.New(runner.Config{Demand: waiting})
	routes := map[runner.Key]runner.Route{
		simple:      {Policy: "window", MaxSize: 8, MaxWait: time.Millisecond},
		alone:       {Policy: "none", MaxSize: 1},
		underScored: {Policy: "none", MaxSize: 1},
	}
	f := &fixture{demand: waiting, function: &functiontest.Function{Infer: infer}}
	target, _ := functiontest.Start(t, f.function)
	for key, route := range routes {
		if err := r.SetRoute(key, route); err != nil {
			t.Fatal(err)
		}
		if err := r.AddEndpoint(key, runner.Endpoint{Instance: "a", Target: target, Concurrency: 1}); err != nil {
			t.Fatal(err)
		}
	}
	known := directory{
		limits: limits,
		keys:   map[string]string{"secret": "other", "third secret": "third"}, models: []runner.Key{simple, alone, underScored},
	}
	config.Tenants, config.Functions, config.Runner, config.Version = known, known, r, "test"
	server := New(config)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address = listener.Addr().String()
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.url = "http://" + web.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 3)
	go func() { ended <- r.Run(ctx) }()
	go func() { ended <- server.Run(ctx, listener) }()
	go func() { ended <- server.RunHTTP(ctx, web) }()
	f.connection, err = grpc.NewClient(f.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(2*MaxMessageBytes)))
	if err != nil {
		t.Fatal(err)
	}
	f.GRPCInferenceServiceClient = inference.NewGRPCInferenceServiceClient(f.connection)
	t.Cleanup(func() {
		f.connection.Close()
		cancel()
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return f
}

// as is a context with metadata: name and value in turn.
func as(t *testing.T, pairs ...string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), pairs...)
}

// TestStandardCalls makes the protocol's calls in the order of Triton's simple_grpc_infer_client.
func TestStandardCalls(t *testing.T) {
	f := start(t, "default")
	ctx := t.Context()
	if live, err := f.ServerLive(ctx, &inference.ServerLiveRequest{}); err != nil || !live.GetLive() {
		t.Errorf("ServerLive = %v, %v", live, err)
	}
	if ready, err := f.ServerReady(ctx, &inference.ServerReadyRequest{}); err != nil || !ready.GetReady() {
		t.Errorf("ServerReady = %v, %v", ready, err)
	}
	for name, want := range map[string]bool{"simple": true, "alone": false, "absent": false} {
		if ready, err := f.ModelReady(ctx, &inference.ModelReadyRequest{Name: name}); err != nil || ready.GetReady() != want {
			t.Errorf("ModelReady(%s) = %v, %v, want %v", name, ready, err, want)
		}
	}
	about, err := f.ServerMetadata(ctx, &inference.ServerMetadataRequest{})
	if err != nil || about.GetName() != "sluice" || about.GetVersion() != "test" || !slices.Contains(about.GetExtensions(), "statistics") {
		t.Errorf("ServerMetadata = %v, %v", about, err)
	}
	model, err := f.ModelMetadata(ctx, &inference.ModelMetadataRequest{Name: "simple", Version: "2"})
	if err != nil || model.GetName() != "simple" || len(model.GetInputs()) != 2 || len(model.GetOutputs()) != 2 {
		t.Errorf("ModelMetadata = %v, %v", model, err)
	}
	response, err := f.ModelInfer(ctx, functiontest.Request(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	functiontest.CheckSum(t, response, 1, 3)
	if response.GetModelName() != "simple" || response.GetModelVersion() != "2" || response.GetId() != "" {
		t.Errorf("answer is of %s:%s id %q", response.GetModelName(), response.GetModelVersion(), response.GetId())
	}
	for _, name := range []string{"simple", ""} {
		statistics, err := f.ModelStatistics(ctx, &inference.ModelStatisticsRequest{Name: name})
		if err != nil || len(statistics.GetModelStats()) != 1 || statistics.GetModelStats()[0].GetInferenceStats().GetSuccess().GetCount() != 1 {
			t.Errorf("ModelStatistics(%q) = %v, %v", name, statistics, err)
		}
	}
}

// Typed contents and raw ones give the same answer, which is raw.
func TestTypedContents(t *testing.T) {
	f := start(t, "default")
	numbers := make([]int32, 16)
	for i := range numbers {
		numbers[i] = int32(40 + i)
	}
	ones := slices.Repeat([]int32{1}, 16)
	request := functiontest.Request(1, 0)
	request.RawInputContents = nil
	request.Inputs[0].Contents = &inference.InferTensorContents{IntContents: numbers}
	request.Inputs[1].Contents = &inference.InferTensorContents{IntContents: ones}
	response, err := f.ModelInfer(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	functiontest.CheckSum(t, response, 1, 40)
}

func TestCompressedMessages(t *testing.T) {
	f := start(t, "default")
	for _, name := range []string{"gzip", "deflate", "deflate"} { // a second time with what the first left
		response, err := f.ModelInfer(t.Context(), functiontest.Request(2, 5), grpc.UseCompressor(name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		functiontest.CheckSum(t, response, 2, 5)
	}
	large := functiontest.Request(1, 0)
	large.RawInputContents[0] = make([]byte, MaxMessageBytes+1) // small while compressed
	if _, err := f.ModelInfer(t.Context(), large, grpc.UseCompressor("deflate")); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message that expands beyond the limit: %v", err)
	}
}

func TestRequestID(t *testing.T) {
	f := start(t, "default")
	for _, given := range []string{"mine", ""} {
		request := functiontest.Request(1, 0)
		request.Id = given
		var header metadata.MD
		response, err := f.ModelInfer(t.Context(), request, grpc.Header(&header))
		if err != nil {
			t.Fatal(err)
		}
		calls := f.function.Calls()
		seen := calls[len(calls)-1].Request.GetId()
		told := header.Get(runner.RequestIDHeader)
		if response.GetId() != given || seen == "" || !slices.Equal([]string{seen}, told) || given != "" && seen != given {
			t.Errorf("id %q: answered %q, the function saw %q, the client %v", given, response.GetId(), seen, told)
		}
	}
}

func TestCallers(t *testing.T) {
	closed, open := start(t, ""), start(t, "default")
	for _, test := range []struct {
		name string
		f    *fixture
		ctx  context.Context
		code codes.Code
	}{
		{"no key, none needed, another's model", open, t.Context(), codes.NotFound},
		{"no key", closed, t.Context(), codes.Unauthenticated},
		{"bearer", closed, as(t, "authorization", "Bearer secret"), codes.OK},
		{"bearer in capitals", closed, as(t, "authorization", "BEARER secret"), codes.OK},
		{"key alone", closed, as(t, "sluice-api-key", "secret"), codes.OK},
		{"wrong key where none is needed", open, as(t, "authorization", "Bearer wrong"), codes.Unauthenticated},
		{"other scheme", closed, as(t, "authorization", "Basic secret"), codes.Unauthenticated},
		{"empty", closed, as(t, "authorization", "Bearer "), codes.Unauthenticated},
		{"two", closed, as(t, "sluice-api-key", "secret", "authorization", "Bearer secret"), codes.Unauthenticated},
		{"too long", closed, as(t, "sluice-api-key", strings.Repeat("x", MaxKeyBytes+1)), codes.Unauthenticated},
	} {
		request := functiontest.Request(1, 0)
		request.ModelName = "alone"
		if _, err := test.f.ModelInfer(test.ctx, request); status.Code(err) != test.code {
			t.Errorf("%s: %v, want %v", test.name, err, test.code)
		}
	}
	if _, err := closed.ServerReady(t.Context(), &inference.ServerReadyRequest{}); err != nil {
		t.Errorf("ServerReady without a key: %v", err)
	}
}

func TestTimeoutParameter(t *testing.T) {
	f := startWith(t, "default", func(call functiontest.Call) (*inference.ModelInferResponse, error) {
		if _, ok := call.Context.Deadline(); !ok {
			t.Error("the function knows no deadline")
		}
		<-call.Context.Done()
		return nil, call.Context.Err()
	})
	request := functiontest.Request(1, 0)
	request.Parameters = map[string]*inference.InferParameter{"timeout": int64Parameter(20_000)}
	if _, err := f.ModelInfer(t.Context(), request); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("request past its timeout: %v", err)
	}
}

func TestErrors(t *testing.T) {
	f := startWith(t, "default", func(functiontest.Call) (*inference.ModelInferResponse, error) {
		return nil, status.Error(codes.FailedPrecondition, "no weights")
	})
	_, err := f.ModelInfer(t.Context(), functiontest.Request(1, 0))
	if status.Code(err) != codes.FailedPrecondition || status.Convert(err).Message() != "the function answered: no weights" {
		t.Errorf("function's own error: %v", err)
	}
	if _, err = f.ModelInfer(t.Context(), functiontest.Request(9, 0)); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "max_size is 8") {
		t.Errorf("request of more rows than max_size: %v", err)
	}
}

func TestMessageLimit(t *testing.T) {
	f := start(t, "default")
	request := functiontest.Request(1, 0)
	request.RawInputContents[0] = make([]byte, MaxMessageBytes)
	if _, err := f.ModelInfer(t.Context(), request); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("message beyond the limit: %v", err)
	}
}

func TestHealthAndReflection(t *testing.T) {
	f := start(t, "default")
	for _, name := range []string{"", "inference.GRPCInferenceService"} {
		health, err := grpc_health_v1.NewHealthClient(f.connection).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: name})
		if err != nil || health.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("health of %q is %v, %v", name, health, err)
		}
	}
	stream, err := grpc_reflection_v1.NewServerReflectionClient(f.connection).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil || !strings.Contains(answer.String(), "inference.GRPCInferenceService") {
		t.Errorf("reflection answers %v, %v", answer, err)
	}
}

// A request that is cancelled, or whose client goes away, while it is in the queue never reaches the function, whichever way
// it came.
func TestCancelledInQueue(t *testing.T) {
	for way, send := range map[string]func(f *fixture, ctx context.Context, request *inference.ModelInferRequest) error{
		"gRPC": func(f *fixture, ctx context.Context, request *inference.ModelInferRequest) error {
			_, err := f.ModelInfer(ctx, request)
			return err
		},
		"stream": func(f *fixture, ctx context.Context, request *inference.ModelInferRequest) error {
			stream, err := f.ModelStreamInfer(ctx)
			if err != nil {
				return err
			}
			if err := stream.Send(request); err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		},
		"HTTP": func(f *fixture, ctx context.Context, _ *inference.ModelInferRequest) error {
			request, err := http.NewRequestWithContext(ctx, "POST", f.url+"/v2/models/simple/infer", bytes.NewReader(requestJSON("")))
			if err != nil {
				return err
			}
			response, err := http.DefaultClient.Do(request)
			if err == nil {
				err = response.Body.Close()
			}
			return err
		},
	} {
		t.Run(way, func(t *testing.T) {
			begun, release := make(chan struct{}), make(chan struct{})
			f := startWith(t, "default", func(call functiontest.Call) (*inference.ModelInferResponse, error) {
				begun <- struct{}{}
				<-release
				return functiontest.Simple(call)
			})
			first := make(chan error, 1)
			go func() {
				_, err := f.ModelInfer(t.Context(), functiontest.Request(1, 0))
				first <- err
			}()
			<-begun // the function's only place is taken
			ctx, cancel := context.WithCancel(t.Context())
			second := make(chan error, 1)
			go func() { second <- send(f, ctx, functiontest.Request(1, 7)) }()
			f.demand.await(t, 1)
			cancel()
			if err := <-second; err == nil {
				t.Error("a request that was cancelled is answered")
			}
			f.demand.await(t, 0)
			close(release)
			if err := <-first; err != nil {
				t.Error(err)
			}
			if calls := f.function.Calls(); len(calls) != 1 {
				t.Errorf("%d calls reached the function, want the first alone", len(calls))
			}
		})
	}
}

// The parameter priority decides who goes first, whichever way a request came.
func TestPriorityParameter(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	f := startWith(t, "other", func(call functiontest.Call) (*inference.ModelInferResponse, error) {
		begun <- struct{}{}
		<-release
		return functiontest.Simple(call)
	})
	var answered sync.WaitGroup
	ask := func(id string, priority int64) {
		request := functiontest.Request(1, 0)
		request.ModelName, request.Id = "alone", id
		request.Parameters = map[string]*inference.InferParameter{"priority": int64Parameter(priority)}
		answered.Go(func() {
			if _, err := f.ModelInfer(t.Context(), request); err != nil {
				t.Error(err)
			}
		})
	}
	ask("first", 0)
	<-begun
	ask("low", 9)
	f.demand.await(t, 1)
	answered.Go(func() {
		body := requestJSON(`"id":"high","parameters":{"priority":1},`)
		if response, text := f.exchange(t, "POST", "/v2/models/alone/infer", body); response.StatusCode != 200 {
			t.Errorf("%s %s", response.Status, text)
		}
	})
	f.demand.await(t, 2)
	close(release)
	<-begun
	<-begun
	answered.Wait()
	var order []string
	for _, call := range f.function.Calls() {
		order = append(order, call.Request.GetId())
	}
	if !slices.Equal(order, []string{"first", "high", "low"}) {
		t.Errorf("the function saw %v", order)
	}
}

// demand holds how many requests are queued.
type demand struct {
	mutex   sync.Mutex
	queued  map[runner.Key]int
	changed chan struct{}
}

func newDemand() *demand {
	return &demand{queued: make(map[runner.Key]int), changed: make(chan struct{}, 1)}
}

func (d *demand) Demand(key runner.Key, queued, _ int) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.queued[key] = queued
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

func (*demand) EndpointFailed(runner.Key, string, error) {}

// await returns when so many requests are queued in all.
func (d *demand) await(t *testing.T, want int) {
	t.Helper()
	for {
		d.mutex.Lock()
		sum := 0
		for _, queued := range d.queued {
			sum += queued
		}
		d.mutex.Unlock()
		if sum == want {
			return
		}
		select {
		case <-d.changed:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d requests are queued, want %d", sum, want)
		}
	}
}
