package function

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/inference"
)

// noticed bounds waiting for what must happen; reaching it fails the test.
const noticed = 20 * time.Second

// adder adds two INT32 vectors; its hooks let a test watch and hold it.
type adder struct {
	concurrency int
	load        func(context.Context) error
	infer       func(context.Context) error

	mu      sync.Mutex
	batches []int64
	closed  bool
}

func (a *adder) Signature() Signature {
	vector := []int64{-1, 4}
	return Signature{
		Platform:    "test",
		MaxBatch:    8,
		Concurrency: a.concurrency,
		Inputs:      []TensorSpec{{"A", INT32, vector}, {"B", INT32, vector}},
		Outputs:     []TensorSpec{{"SUM", INT32, vector}, {"TEXT", BYTES, []int64{-1}}},
	}
}

func (a *adder) Load(ctx context.Context) error {
	if a.load == nil {
		return nil
	}
	return a.load(ctx)
}

func (a *adder) Infer(ctx context.Context, inputs Tensors) (Tensors, error) {
	first, err := inputs.Int32s("A")
	if err != nil {
		return nil, err
	}
	second, err := inputs.Int32s("B")
	if err != nil {
		return nil, err
	}
	batch := inputs[0].Shape[0]
	a.mu.Lock()
	a.batches = append(a.batches, batch)
	warm := len(a.batches) > 2
	a.mu.Unlock()
	if warm && a.infer != nil {
		if err := a.infer(ctx); err != nil {
			return nil, err
		}
	}
	for i := range first {
		first[i] += second[i]
	}
	text := Tensor{Name: "TEXT", Datatype: BYTES, Shape: []int64{batch}, Data: make([]byte, 4*batch)}
	return Tensors{text, Int32Tensor("SUM", inputs[0].Shape, first)}, nil
}

func (a *adder) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	return nil
}

func (a *adder) ran() []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.batches)
}

// served is a running server and a client of it.
type served struct {
	inference.GRPCInferenceServiceClient
	connection *grpc.ClientConn
	stop       context.CancelFunc
	ended      chan error
}

func serve(t *testing.T, model Model, drainTimeout time.Duration) *served {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.sock")
	server, err := NewServer(model, Config{
		Function: "adder", Version: "7", Network: "unix", Address: path,
		DrainTimeout: drainTimeout, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	connection, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s := &served{inference.NewGRPCInferenceServiceClient(connection), connection, stop, make(chan error, 1)}
	go func() { s.ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		_ = connection.Close()
	})
	return s
}

// awaitReady watches the health until it is SERVING.
func (s *served) awaitReady(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), noticed)
	defer cancel()
	watch, err := healthpb.NewHealthClient(s.connection).Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		response, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if response.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return
		}
	}
}

func (s *served) awaitEnd(t *testing.T) error {
	t.Helper()
	return await(t, s.ended)
}

func await[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(noticed):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

// request asks for 1..4 plus 10..40 in each of batch rows.
func request(batch int64) *inference.ModelInferRequest {
	var first, second []int32
	for range batch {
		first = append(first, 1, 2, 3, 4)
		second = append(second, 10, 20, 30, 40)
	}
	shape := []int64{batch, 4}
	return &inference.ModelInferRequest{
		ModelName: "adder", Id: "a request",
		Inputs: []*inference.ModelInferRequest_InferInputTensor{
			{Name: "B", Datatype: "INT32", Shape: shape},
			{Name: "A", Datatype: "INT32", Shape: shape},
		},
		RawInputContents: [][]byte{Int32Tensor("", nil, second).Data, Int32Tensor("", nil, first).Data},
	}
}

func TestReadyOnlyOnceWarm(t *testing.T) {
	gate := make(chan struct{})
	model := &adder{load: func(context.Context) error { <-gate; return nil }}
	s := serve(t, model, noticed)

	live, err := s.ServerLive(t.Context(), &inference.ServerLiveRequest{})
	if err != nil || !live.GetLive() {
		t.Fatalf("ServerLive while loading: %v, %v", live, err)
	}
	ready, err := s.ServerReady(t.Context(), &inference.ServerReadyRequest{})
	if err != nil || ready.GetReady() {
		t.Fatalf("ServerReady while loading: %v, %v", ready, err)
	}
	if _, err := s.ModelInfer(t.Context(), request(1)); status.Code(err) != codes.Unavailable {
		t.Fatalf("ModelInfer while loading: %v", err)
	}
	check, err := healthpb.NewHealthClient(s.connection).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || check.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Fatalf("health while loading: %v, %v", check, err)
	}

	close(gate)
	s.awaitReady(t)
	if ran := model.ran(); !slices.Equal(ran, []int64{1, 8}) {
		t.Fatalf("warm-up ran batches of %v", ran)
	}
	modelReady, err := s.ModelReady(t.Context(), &inference.ModelReadyRequest{Name: "adder"})
	if err != nil || !modelReady.GetReady() {
		t.Fatalf("ModelReady once warm: %v, %v", modelReady, err)
	}
}

func TestLoadErrorEndsTheServer(t *testing.T) {
	broken := errors.New("no weights")
	s := serve(t, &adder{load: func(context.Context) error { return broken }}, noticed)
	if err := s.awaitEnd(t); !errors.Is(err, broken) {
		t.Fatalf("Run returned %v", err)
	}
}

// warmed is a server that is ready without having listened.
func warmed(t *testing.T, model *adder) *Server {
	t.Helper()
	server, err := NewServer(model, Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	model.batches = []int64{1, 8}
	server.setReady(true)
	return server
}

func TestOneInferenceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		model := &adder{infer: func(context.Context) error { <-gate; return nil }}
		server := warmed(t, model)
		infer := func(ctx context.Context) <-chan error {
			answer := make(chan error, 1)
			go func() {
				_, _, err := server.infer(ctx, request(1))
				answer <- err
			}()
			synctest.Wait() // until it runs or waits
			return answer
		}
		waiting, cancel := context.WithCancel(t.Context())
		first, second, third := infer(t.Context()), infer(waiting), infer(t.Context())
		if ran := model.ran(); len(ran) != 3 {
			t.Fatalf("batches %v began, want the first after two of warm-up", ran)
		}
		cancel()
		if err := <-second; status.Code(err) != codes.Canceled {
			t.Fatalf("cancelled while it waited: %v", err)
		}
		gate <- struct{}{}
		gate <- struct{}{}
		if err := errors.Join(<-first, <-third); err != nil {
			t.Fatal(err)
		}
		if ran := model.ran(); len(ran) != 4 {
			t.Fatalf("batches %v ran, want two after two of warm-up", ran)
		}
	})
}

func TestFatalRefusesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		model := &adder{infer: func(context.Context) error { <-gate; return Fatal(errors.New("gone")) }}
		server := warmed(t, model)
		answers := make(chan error, 2)
		for range 2 {
			go func() {
				_, _, err := server.infer(t.Context(), request(1))
				answers <- err
			}()
		}
		synctest.Wait()
		gate <- struct{}{} // a second inference would wait here for ever
		for range 2 {
			if err := <-answers; status.Code(err) != codes.Unavailable {
				t.Fatalf("answer is %v, want UNAVAILABLE", err)
			}
		}
	})
}

func TestDeclaredConcurrency(t *testing.T) {
	var together sync.WaitGroup
	together.Add(2)
	s := serve(t, &adder{concurrency: 2, infer: func(context.Context) error {
		together.Done()
		together.Wait() // ends only if both run at once
		return nil
	}}, noticed)
	s.awaitReady(t)
	answers := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := s.ModelInfer(t.Context(), request(1))
			answers <- err
		}()
	}
	for range 2 {
		if err := await(t, answers); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDrainFinishesWhatRuns(t *testing.T) {
	entered, gate := make(chan struct{}), make(chan struct{})
	model := &adder{infer: func(context.Context) error {
		close(entered)
		<-gate
		return nil
	}}
	s := serve(t, model, noticed)
	s.awaitReady(t)
	watch, err := healthpb.NewHealthClient(s.connection).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}

	answer := make(chan error, 1)
	go func() {
		_, err := s.ModelInfer(t.Context(), request(1))
		answer <- err
	}()
	await(t, entered)
	s.stop()
	for err = nil; err == nil; { // the watch ends, although nobody cancels it
		_, err = watch.Recv()
	}
	close(gate)
	if err := await(t, answer); err != nil {
		t.Fatalf("the inference that ran: %v", err)
	}
	if err := s.awaitEnd(t); err != nil {
		t.Fatalf("Run returned %v", err)
	}
	if !model.closed {
		t.Fatal("the model was not closed")
	}
}

func TestDrainIsBounded(t *testing.T) {
	entered, gate := make(chan struct{}), make(chan struct{})
	defer close(gate)
	s := serve(t, &adder{infer: func(context.Context) error {
		close(entered)
		<-gate
		return nil
	}}, time.Millisecond)
	s.awaitReady(t)
	go func() { _, _ = s.ModelInfer(t.Context(), request(1)) }()
	await(t, entered)
	s.stop()
	if err := s.awaitEnd(t); !errors.Is(err, ErrDrain) {
		t.Fatalf("Run returned %v", err)
	}
}

func TestFatalEndsTheServer(t *testing.T) {
	gone := errors.New("the device is gone")
	s := serve(t, &adder{infer: func(context.Context) error { return Fatal(gone) }}, noticed)
	s.awaitReady(t)
	if _, err := s.ModelInfer(t.Context(), request(1)); status.Code(err) != codes.Unavailable {
		t.Fatalf("answer is %v, want UNAVAILABLE", err)
	}
	if err := s.awaitEnd(t); !errors.Is(err, ErrFatal) || !errors.Is(err, gone) {
		t.Fatalf("Run returned %v", err)
	}
}
