package runner

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/batcher/runner/functiontest"
	"sluice/proto/gen/inference"
)

func TestInferAlone(t *testing.T) {
	r := start(t, alone, nil)
	f := &functiontest.Function{}
	serve(t, r, f, 1)
	request := functiontest.Request(3, 7)
	request.Id = "first"
	response, err := r.Infer(t.Context(), simple, request)
	if err != nil {
		t.Fatal(err)
	}
	functiontest.CheckSum(t, response, 3, 7)
	if response.GetModelName() != "simple" || response.GetModelVersion() != "1" || response.GetId() != "first" {
		t.Errorf("answer is of %s:%s id %s", response.GetModelName(), response.GetModelVersion(), response.GetId())
	}
	if got := f.Calls()[0].Request.GetId(); got != "first" {
		t.Errorf("function saw request id %q", got)
	}
}

func TestInferJoins(t *testing.T) {
	r := start(t, never, nil)
	f := &functiontest.Function{}
	serve(t, r, f, 1)
	var results []<-chan result
	for i, rows := range []int{1, 2, 1} {
		request := functiontest.Request(rows, int32(100*i))
		request.Id = string(rune('a' + i))
		results = append(results, inferLater(t.Context(), r, request))
	}
	for i, rows := range []int{1, 2, 1} {
		got := <-results[i]
		if got.err != nil {
			t.Fatal(got.err)
		}
		functiontest.CheckSum(t, got.response, rows, int32(100*i))
		if want := string(rune('a' + i)); got.response.GetId() != want {
			t.Errorf("answer %d has id %q, want %q", i, got.response.GetId(), want)
		}
	}
	calls := f.Calls()
	if len(calls) != 1 || calls[0].Request.GetInputs()[0].GetShape()[0] != 4 {
		t.Fatalf("function saw %d calls, want one of 4 rows", len(calls))
	}
	ids := calls[0].Metadata.Get(RequestIDHeader)
	if slices.Sort(ids); !slices.Equal(ids, []string{"a", "b", "c"}) {
		t.Errorf("function saw request ids %v", ids)
	}
	statistics, err := r.Statistics(simple)
	if err != nil {
		t.Fatal(err)
	}
	if statistics.GetInferenceCount() != 4 || statistics.GetExecutionCount() != 1 || statistics.GetInferenceStats().GetSuccess().GetCount() != 3 {
		t.Errorf("statistics %v, want 4 rows in 1 batch of 3 requests", statistics)
	}
	if sizes := statistics.GetBatchStats(); len(sizes) != 1 || sizes[0].GetBatchSize() != 4 || sizes[0].GetComputeInfer().GetCount() != 1 {
		t.Errorf("batch statistics %v, want one batch of 4", sizes)
	}
}

// A request with other parameters or trailing dimensions is not joined; one that names an output that does not exist
// fails alone.
func TestJoinedRequestsKeepApart(t *testing.T) {
	route := never
	route.MaxSize = 2
	r := start(t, route, nil)
	f := &functiontest.Function{}
	serve(t, r, f, 4)
	var results []<-chan result
	for i := range 4 {
		request := functiontest.Request(1, int32(i))
		switch i {
		case 1, 3:
			request.Parameters = map[string]*inference.InferParameter{
				"temperature": {ParameterChoice: &inference.InferParameter_DoubleParam{DoubleParam: 1}},
				"timeout":     {ParameterChoice: &inference.InferParameter_Int64Param{Int64Param: int64(3_600_000_000 + i)}},
			}
		case 2:
			request.Outputs = []*inference.ModelInferRequest_InferRequestedOutputTensor{{Name: "OUTPUT9"}}
		}
		results = append(results, inferLater(t.Context(), r, request))
	}
	for i, results := range results {
		got := <-results
		if i == 2 {
			if !errors.Is(got.err, ErrRequest) || !strings.Contains(got.err.Error(), `outputs[0]: the function has no output "OUTPUT9"`) {
				t.Errorf("request for an unknown output ended with %v", got.err)
			}
			continue
		}
		if got.err != nil {
			t.Fatal(got.err)
		}
		functiontest.CheckSum(t, got.response, 1, int32(i))
	}
	for _, call := range f.Calls() {
		first := call.Request.GetRawInputContents()[0]
		odd := call.Request.GetParameters()["temperature"] != nil
		if len(first) != 128 || first[0]%2 != first[64]%2 || odd != (first[0]%2 == 1) {
			t.Errorf("function saw %v", call.Request)
		}
		if call.Request.GetParameters()["timeout"] != nil {
			t.Error("function saw the timeout parameter")
		}
	}
}

func TestRequestedOutputs(t *testing.T) {
	r := start(t, alone, nil)
	serve(t, r, &functiontest.Function{}, 1)
	request := functiontest.Request(1, 5)
	request.Outputs = []*inference.ModelInferRequest_InferRequestedOutputTensor{{Name: "OUTPUT1"}}
	response, err := r.Infer(t.Context(), simple, request)
	if err != nil {
		t.Fatal(err)
	}
	if len(response.GetOutputs()) != 1 || response.GetOutputs()[0].GetName() != "OUTPUT1" || response.GetRawOutputContents()[0][0] != 4 {
		t.Errorf("answer is %v, want OUTPUT1 alone", response)
	}
}

func TestColdStart(t *testing.T) {
	s := newScaler()
	r := start(t, alone, s)
	results := inferLater(t.Context(), r, functiontest.Request(1, 1))
	s.await(t, func(s *scaler) bool { return s.last() == [2]int{1, 0} })
	serve(t, r, &functiontest.Function{}, 1)
	if got := <-results; got.err != nil {
		t.Fatal(got.err)
	}
	s.await(t, func(s *scaler) bool { return s.last() == [2]int{0, 0} })
}

func TestCancelledInQueueNeverReachesFunction(t *testing.T) {
	s := newScaler()
	r := start(t, alone, s)
	ctx, cancel := context.WithCancel(t.Context())
	results := inferLater(ctx, r, functiontest.Request(1, 1))
	s.await(t, func(s *scaler) bool { return s.last() == [2]int{1, 0} })
	cancel()
	if got := <-results; !errors.Is(got.err, ErrCancelled) {
		t.Errorf("cancelled request ended with %v", got.err)
	}
	f := &functiontest.Function{}
	serve(t, r, f, 1)
	if _, err := r.Infer(t.Context(), simple, functiontest.Request(1, 2)); err != nil {
		t.Fatal(err)
	}
	if calls := f.Calls(); len(calls) != 1 || calls[0].Request.GetRawInputContents()[0][0] != 2 {
		t.Errorf("function saw %v, want the second request alone", calls)
	}
}

// A batch goes on while one of its callers waits, and is broken off with the last.
func TestCancelledWhileRunning(t *testing.T) {
	route := never
	route.MaxSize = 2
	r := start(t, route, nil)
	entered, broken := make(chan struct{}), make(chan struct{})
	serve(t, r, &functiontest.Function{Infer: func(call functiontest.Call) (*inference.ModelInferResponse, error) {
		close(entered)
		<-call.Context.Done()
		close(broken)
		return nil, call.Context.Err()
	}}, 1)
	first, cancelFirst := context.WithCancel(t.Context())
	second, cancelSecond := context.WithCancel(t.Context())
	results := []<-chan result{
		inferLater(first, r, functiontest.Request(1, 1)),
		inferLater(second, r, functiontest.Request(1, 2)),
	}
	<-entered
	cancelFirst()
	if got := <-results[0]; !errors.Is(got.err, ErrCancelled) {
		t.Errorf("first ended with %v", got.err)
	}
	select {
	case <-broken:
		t.Fatal("the batch was broken off though a caller waits")
	default:
	}
	cancelSecond()
	<-results[1]
	<-broken
}

func TestTimeoutParameter(t *testing.T) {
	r := start(t, alone, nil)
	request := functiontest.Request(1, 1)
	request.Parameters = map[string]*inference.InferParameter{
		"timeout": {ParameterChoice: &inference.InferParameter_Int64Param{Int64Param: 1000}},
	}
	if _, err := r.Infer(t.Context(), simple, request); !errors.Is(err, ErrExpired) {
		t.Errorf("request with a timeout ended with %v", err)
	}
}

// The route's SLO is the deadline of a request that has no earlier one.
func TestSLO(t *testing.T) {
	r := start(t, Route{Policy: "none", MaxSize: 1, SLO: time.Millisecond}, nil)
	if _, err := r.Infer(t.Context(), simple, functiontest.Request(1, 1)); !errors.Is(err, ErrExpired) {
		t.Errorf("request to a function that has an SLO ended with %v", err)
	}
}

// A request that the endpoint never saw is queued again for the next one.
func TestUnreachableEndpoint(t *testing.T) {
	s := newScaler()
	r := start(t, alone, s)
	if err := r.AddEndpoint(simple, Endpoint{Instance: "dead", Target: "unix:///nowhere/function.sock", Concurrency: 1}); err != nil {
		t.Fatal(err)
	}
	results := inferLater(t.Context(), r, functiontest.Request(1, 1))
	s.await(t, func(s *scaler) bool { return len(s.failed) > 0 })
	serve(t, r, &functiontest.Function{}, 1)
	got := <-results
	if got.err != nil {
		t.Fatal(got.err)
	}
	functiontest.CheckSum(t, got.response, 1, 1)
	if !slices.Equal(s.failed, []string{"dead"}) {
		t.Errorf("failed endpoints are %v", s.failed)
	}
}

// An Instance that dies with a request fails it and leaves the route; the next request waits for another.
func TestEndpointDies(t *testing.T) {
	s := newScaler()
	r := start(t, alone, s)
	entered := make(chan struct{})
	stop := serve(t, r, &functiontest.Function{Infer: func(call functiontest.Call) (*inference.ModelInferResponse, error) {
		close(entered)
		<-call.Context.Done()
		return nil, call.Context.Err()
	}}, 2)
	results := inferLater(t.Context(), r, functiontest.Request(1, 1))
	<-entered
	stop()
	if got := <-results; !errors.Is(got.err, ErrUnavailable) {
		t.Errorf("request on the dead instance ended with %v", got.err)
	}
	s.await(t, func(s *scaler) bool { return slices.Equal(s.failed, []string{"a"}) })
	serve(t, r, &functiontest.Function{}, 1)
	if _, err := r.Infer(t.Context(), simple, functiontest.Request(1, 2)); err != nil {
		t.Fatal(err)
	}
}

func TestWrongAnswers(t *testing.T) {
	output := func(shape []int64, raw ...[]byte) *inference.ModelInferResponse {
		return &inference.ModelInferResponse{
			Outputs:           []*inference.ModelInferResponse_InferOutputTensor{{Name: "OUTPUT0", Datatype: "INT8", Shape: shape}},
			RawOutputContents: raw,
		}
	}
	for _, test := range []struct {
		response *inference.ModelInferResponse
		want     string
	}{
		{output([]int64{3}, []byte{1, 2, 3}), `output "OUTPUT0": tensor: shape [3] does not have 4 as its first dimension`},
		{output(nil, []byte{1}), `output "OUTPUT0": tensor: shape [] does not have 4 as`},
		{output([]int64{4}, []byte{1}), `output "OUTPUT0": tensor: 1 bytes of data`},
		{output([]int64{4}, []byte{1, 2, 3, 4}, []byte{1}), "1 outputs, but 2 raw_output_contents"},
		{output([]int64{4}), `output "OUTPUT0": tensor: int_contents has 0 elements`},
	} {
		r := start(t, never, nil)
		serve(t, r, &functiontest.Function{Infer: func(functiontest.Call) (*inference.ModelInferResponse, error) {
			return test.response, nil
		}}, 1)
		first, second := inferLater(t.Context(), r, functiontest.Request(2, 0)), inferLater(t.Context(), r, functiontest.Request(2, 0))
		for _, results := range []<-chan result{first, second} {
			if got := <-results; !errors.Is(got.err, ErrOutput) || !strings.Contains(got.err.Error(), test.want) {
				t.Errorf("%v ended with %v, want %s", test.response, got.err, test.want)
			}
		}
	}
}

func TestFunctionsOwnErrorIsKept(t *testing.T) {
	r := start(t, alone, nil)
	serve(t, r, &functiontest.Function{Infer: func(functiontest.Call) (*inference.ModelInferResponse, error) {
		return nil, status.Error(codes.FailedPrecondition, "no weights")
	}}, 1)
	_, err := r.Infer(t.Context(), simple, functiontest.Request(1, 1))
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "no weights") {
		t.Errorf("error is %v", err)
	}
}

func TestTypedOutputsBecomeRaw(t *testing.T) {
	r := start(t, alone, nil)
	serve(t, r, &functiontest.Function{Infer: func(functiontest.Call) (*inference.ModelInferResponse, error) {
		return &inference.ModelInferResponse{Outputs: []*inference.ModelInferResponse_InferOutputTensor{{
			Name: "OUTPUT0", Datatype: "INT16", Shape: []int64{2},
			Contents: &inference.InferTensorContents{IntContents: []int32{1, -1}},
		}}}, nil
	}}, 1)
	response, err := r.Infer(t.Context(), simple, functiontest.Request(1, 1))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(response.GetRawOutputContents()[0]); got != "\x01\x00\xff\xff" || response.GetOutputs()[0].GetContents() != nil {
		t.Errorf("answer is %v", response)
	}
}

func TestRefusedRequests(t *testing.T) {
	r := start(t, never, nil)
	scalar := functiontest.Request(1, 0)
	scalar.Inputs[1].Shape = nil
	uneven := functiontest.Request(2, 0)
	uneven.Inputs[1].Shape = []int64{1, 32}
	short := functiontest.Request(1, 0)
	short.RawInputContents = short.RawInputContents[:1]
	for want, request := range map[string]*inference.ModelInferRequest{
		`inputs[1] "INPUT1" has shape []`:                                  scalar,
		`inputs[1] "INPUT1" has 1 rows, but "INPUT0" has 2`:                uneven,
		"2 inputs, but 1 raw_input_contents":                               short,
		"inputs have 5 rows, the function's max_size is 4":                 functiontest.Request(5, 0),
		`inputs[0] "INPUT0" has shape [0 16], but the function takes batc`: functiontest.Request(0, 0),
	} {
		if _, err := r.Infer(t.Context(), simple, request); !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
	if _, err := r.Infer(t.Context(), Key{Function: "other"}, functiontest.Request(1, 0)); !errors.Is(err, ErrNoRoute) {
		t.Errorf("unknown function ended with %v", err)
	}
}

func TestQueueLimit(t *testing.T) {
	s := newScaler()
	r := start(t, alone, s)
	request := functiontest.Request(1, 0)
	request.RawInputContents[0] = make([]byte, MaxQueuedBytes/2)
	ctx, cancel := context.WithCancel(t.Context())
	results := inferLater(ctx, r, request)
	s.await(t, func(s *scaler) bool { return s.last()[0] == 1 })
	if _, err := r.Infer(t.Context(), simple, request); !errors.Is(err, ErrQueueFull) {
		t.Errorf("request beyond the limit of bytes ended with %v", err)
	}
	cancel()
	<-results
	small := functiontest.Request(1, 0)
	ctx, cancel = context.WithCancel(t.Context())
	var waiting []<-chan result
	for range MaxQueuedRequests {
		waiting = append(waiting, inferLater(ctx, r, small))
	}
	s.await(t, func(s *scaler) bool { return s.last()[0] == MaxQueuedRequests })
	if _, err := r.Infer(t.Context(), simple, small); !errors.Is(err, ErrQueueFull) {
		t.Errorf("request beyond the limit of requests ended with %v", err)
	}
	cancel()
	for _, results := range waiting {
		<-results
	}
	s.await(t, func(s *scaler) bool { return s.last() == [2]int{0, 0} })
}

func TestRemoveRoute(t *testing.T) {
	s := newScaler()
	r := start(t, alone, s)
	results := inferLater(t.Context(), r, functiontest.Request(1, 0))
	s.await(t, func(s *scaler) bool { return s.last()[0] == 1 })
	r.RemoveRoute(simple)
	if got := <-results; !errors.Is(got.err, ErrNoRoute) {
		t.Errorf("queued request ended with %v", got.err)
	}
	if err := r.AddEndpoint(simple, Endpoint{Instance: "a", Target: "unix:///a", Concurrency: 1}); !errors.Is(err, ErrNoRoute) {
		t.Errorf("endpoint of a removed route ended with %v", err)
	}
}

// Fail ends what waits because no Instance starts; the next request queues again.
func TestFail(t *testing.T) {
	s := newScaler()
	r := start(t, alone, s)
	results := inferLater(t.Context(), r, functiontest.Request(1, 0))
	described := make(chan error)
	go func() {
		_, err := r.Metadata(t.Context(), simple)
		described <- err
	}()
	s.await(t, func(s *scaler) bool { return s.last()[0] == 2 })
	cause := errors.New("image is broken")
	r.Fail(simple, cause)
	if got := <-results; !errors.Is(got.err, ErrUnavailable) || !errors.Is(got.err, cause) {
		t.Errorf("queued request ended with %v", got.err)
	}
	if err := <-described; !errors.Is(err, cause) {
		t.Errorf("metadata ended with %v", err)
	}
	s.await(t, func(s *scaler) bool { return s.last() == [2]int{0, 0} })
	serve(t, r, &functiontest.Function{}, 1)
	if _, err := r.Infer(t.Context(), simple, functiontest.Request(1, 0)); err != nil {
		t.Fatal(err)
	}
}

func TestRemoveEndpointDrains(t *testing.T) {
	r := start(t, alone, nil)
	entered, proceed := make(chan struct{}), make(chan struct{})
	serve(t, r, &functiontest.Function{Infer: func(call functiontest.Call) (*inference.ModelInferResponse, error) {
		close(entered)
		<-proceed
		return functiontest.Simple(call)
	}}, 1)
	results := inferLater(t.Context(), r, functiontest.Request(1, 1))
	<-entered
	drained := r.RemoveEndpoint(simple, "a")
	select {
	case <-drained:
		t.Fatal("drained while a request runs")
	default:
	}
	close(proceed)
	if got := <-results; got.err != nil {
		t.Fatal(got.err)
	}
	<-drained
	<-r.RemoveEndpoint(simple, "a")
}

// The metadata of a function that sleeps starts it, once.
func TestMetadata(t *testing.T) {
	s := newScaler()
	r := start(t, alone, s)
	described := make(chan *inference.ModelMetadataResponse)
	go func() {
		answer, err := r.Metadata(t.Context(), simple)
		if err != nil {
			t.Error(err)
		}
		described <- answer
	}()
	s.await(t, func(s *scaler) bool { return s.last() == [2]int{1, 0} })
	stop := serve(t, r, &functiontest.Function{}, 1)
	answer := <-described
	if answer.GetName() != "simple" || !slices.Equal(answer.GetVersions(), []string{"1"}) || len(answer.GetInputs()) != 2 {
		t.Errorf("metadata is %v", answer)
	}
	stop()
	if again, err := r.Metadata(t.Context(), simple); err != nil || again != answer {
		t.Errorf("second metadata is %v, %v", again, err)
	}
}

// A function that answers with more than it may harms nobody but its caller.
func TestOversizedMetadata(t *testing.T) {
	r := start(t, alone, nil)
	serve(t, r, &functiontest.Function{Platform: strings.Repeat("x", MaxMetadataBytes)}, 1)
	if _, err := r.Metadata(t.Context(), simple); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("metadata beyond the limit: %v", err)
	}
	if _, err := r.Infer(t.Context(), simple, functiontest.Request(1, 0)); err != nil {
		t.Error(err)
	}
}

func TestRoutes(t *testing.T) {
	r := start(t, alone, nil)
	for _, route := range []Route{{Policy: "best", MaxSize: 2}, {Policy: "window", MaxSize: 0}, {Policy: "window", MaxSize: MaxBatchRows + 1}, never} {
		if err := r.SetRoute(simple, route); !errors.Is(err, ErrRoute) {
			t.Errorf("route %+v gives %v", route, err)
		}
	}
	if err := r.SetRoute(simple, alone); err != nil {
		t.Errorf("the same route again gives %v", err)
	}
	for _, endpoint := range []Endpoint{{Target: "unix:///a", Concurrency: 1}, {Instance: "a", Concurrency: 1}, {Instance: "a", Target: "unix:///a"}} {
		if err := r.AddEndpoint(simple, endpoint); !errors.Is(err, ErrRoute) {
			t.Errorf("endpoint %+v gives %v", endpoint, err)
		}
	}
}
