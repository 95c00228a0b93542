package gateway

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"sluice/batcher/runner/functiontest"
	"sluice/batcher/tensor"
	"sluice/gateway/sharedmemory"
	"sluice/proto/gen/inference"
	"sluice/store"
)

func int64Parameter(value int64) *inference.InferParameter {
	return &inference.InferParameter{ParameterChoice: &inference.InferParameter_Int64Param{Int64Param: value}}
}

func textParameter(value string) *inference.InferParameter {
	return &inference.InferParameter{ParameterChoice: &inference.InferParameter_StringParam{StringParam: value}}
}

// parameters sets one parameter of a request.
func parameters(name string, value *inference.InferParameter) func(*inference.ModelInferRequest) {
	return func(r *inference.ModelInferRequest) {
		r.Parameters = map[string]*inference.InferParameter{name: value}
	}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		want   string // empty: allowed
		change func(r *inference.ModelInferRequest)
	}{
		{"", func(*inference.ModelInferRequest) {}},
		{"", parameters("timeout", int64Parameter(5))},
		{"", parameters("priority", &inference.InferParameter{ParameterChoice: &inference.InferParameter_Uint64Param{Uint64Param: 1}})},
		{"", parameters("sequence_id", int64Parameter(0))},
		{"", parameters("mine", textParameter("x"))},
		{"id has 129 bytes, the limit is 128", func(r *inference.ModelInferRequest) { r.Id = strings.Repeat("x", 129) }},
		{"id holds byte 0x0a", func(r *inference.ModelInferRequest) { r.Id = "a\n" }},
		{"inputs has 0 tensors", func(r *inference.ModelInferRequest) { r.Inputs, r.RawInputContents = nil, nil }},
		{"inputs has 65 tensors", func(r *inference.ModelInferRequest) {
			r.Inputs = make([]*inference.ModelInferRequest_InferInputTensor, 65)
		}},
		{"outputs has 65 tensors", func(r *inference.ModelInferRequest) {
			r.Outputs = make([]*inference.ModelInferRequest_InferRequestedOutputTensor, 65)
		}},
		{"raw_input_contents has 1 entries for 2 inputs", func(r *inference.ModelInferRequest) { r.RawInputContents = r.RawInputContents[:1] }},
		{`inputs[1]: name "INPUT0" is there twice`, func(r *inference.ModelInferRequest) { r.Inputs[1].Name = "INPUT0" }},
		{"inputs[0]: name has 0 bytes", func(r *inference.ModelInferRequest) { r.Inputs[0].Name = "" }},
		{"inputs[0]: name has 129 bytes", func(r *inference.ModelInferRequest) { r.Inputs[0].Name = strings.Repeat("x", 129) }},
		{"inputs[0]: datatype has 129 bytes", func(r *inference.ModelInferRequest) { r.Inputs[0].Datatype = strings.Repeat("x", 129) }},
		{`inputs[0] "INPUT0": tensor: datatype "INT31" is unknown`, func(r *inference.ModelInferRequest) { r.Inputs[0].Datatype = "INT31" }},
		{"inputs[0] \"INPUT0\": tensor: shape[1] is -1", func(r *inference.ModelInferRequest) { r.Inputs[0].Shape = []int64{1, -1} }},
		{"64 bytes of data, but INT32[1 17]", func(r *inference.ModelInferRequest) { r.Inputs[0].Shape = []int64{1, 17} }},
		{"more elements than can be counted", func(r *inference.ModelInferRequest) { r.Inputs[0].Shape = []int64{math.MaxInt64, 3} }},
		{"inputs[0].contents and raw_input_contents are both given", func(r *inference.ModelInferRequest) {
			r.Inputs[0].Contents = &inference.InferTensorContents{IntContents: []int32{1}}
		}},
		{"int_contents has 0 elements, but shape [1 16] needs 16", func(r *inference.ModelInferRequest) { r.RawInputContents = nil }},
		{`outputs[0]: name has 0 bytes`, func(r *inference.ModelInferRequest) {
			r.Outputs = []*inference.ModelInferRequest_InferRequestedOutputTensor{{}}
		}},
		{`outputs[1]: name "A" is there twice`, func(r *inference.ModelInferRequest) {
			r.Outputs = []*inference.ModelInferRequest_InferRequestedOutputTensor{{Name: "A"}, {Name: "A"}}
		}},
		{`inputs[0]: invalid request: parameters["shared_memory_region"]: shared memory is not served`, func(r *inference.ModelInferRequest) {
			r.Inputs[0].Parameters = map[string]*inference.InferParameter{"shared_memory_region": textParameter("x")}
			r.RawInputContents = r.RawInputContents[1:]
		}},
		{"raw_input_contents has 2 entries for 1 inputs", func(r *inference.ModelInferRequest) {
			r.Inputs[0].Parameters = map[string]*inference.InferParameter{"shared_memory_region": textParameter("x")}
		}},
		{`parameters["shared_memory_region"] is a reserved name`, parameters("shared_memory_region", textParameter("x"))},
		{`parameters["triton_x"] is a reserved name`, parameters("triton_x", textParameter("x"))},
		{`parameters["mine"] has 4097 bytes`, parameters("mine", textParameter(strings.Repeat("x", 4097)))},
		{`outputs[0]: parameters["classification"]: classes are not served`, func(r *inference.ModelInferRequest) {
			r.Outputs = []*inference.ModelInferRequest_InferRequestedOutputTensor{{
				Name: "A", Parameters: map[string]*inference.InferParameter{"classification": int64Parameter(3)},
			}}
		}},
		{`parameters["sequence_id"]: sequences are not served`, parameters("sequence_id", textParameter("x"))},
		{`parameters["timeout"] is not an int64_param`, parameters("timeout", textParameter("5"))},
		{`parameters["timeout"] is -1`, parameters("timeout", int64Parameter(-1))},
		{`parameters["priority"] is 256`, parameters("priority", int64Parameter(256))},
		{"parameters has 65 entries", func(r *inference.ModelInferRequest) {
			r.Parameters = make(map[string]*inference.InferParameter)
			for i := range 65 {
				r.Parameters[fmt.Sprint(i)] = int64Parameter(1)
			}
		}},
	} {
		request := functiontest.Request(1, 0)
		test.change(request)
		_, err := new(service).prepare(store.Tenant{}, request)
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("error is %v, want %s", err, test.want)
		}
	}
}

// FuzzInfer has prepare take any message: it must not fail otherwise than with an error that names little of the input,
// and what it lets through has exactly the data that its shapes need.
func FuzzInfer(f *testing.F) {
	regions, user := openRegions(f)
	if err := regions.Register("default", sharedmemory.Region{Name: "region", Key: "file", ByteSize: regionBytes}, user); err != nil {
		f.Fatal(err)
	}
	s := &service{Config: Config{SharedMemory: regions}}
	inRegion := functiontest.Request(1, 0)
	inRegion.Inputs[0].Parameters = inShm("region", 64, 0)
	inRegion.RawInputContents = inRegion.RawInputContents[1:]
	typed := functiontest.Request(1, 0)
	typed.RawInputContents = nil
	for _, input := range typed.GetInputs() {
		input.Shape, input.Datatype = []int64{1, 1}, "BYTES"
		input.Contents = &inference.InferTensorContents{BytesContents: [][]byte{[]byte("a")}}
	}
	for _, request := range []*inference.ModelInferRequest{functiontest.Request(1, 0), functiontest.Request(3, 0), typed, inRegion} {
		request.Parameters = map[string]*inference.InferParameter{"timeout": int64Parameter(1)}
		request.Outputs = []*inference.ModelInferRequest_InferRequestedOutputTensor{{Name: "OUTPUT0"}}
		message, err := proto.Marshal(request)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		request := new(inference.ModelInferRequest)
		if proto.Unmarshal(message, request) != nil {
			return
		}
		taken, err := s.prepare(store.Tenant{Name: "default"}, request)
		if err != nil {
			refused := slices.Contains([]codes.Code{codes.InvalidArgument, codes.NotFound, codes.ResourceExhausted}, statusOf(err).Code())
			if !refused || len(err.Error()) > 2048 {
				t.Fatalf("error of %d bytes: %.200q", len(err.Error()), err.Error())
			}
			return
		}
		defer taken.release()
		for i, input := range request.GetInputs() {
			if input.GetContents() != nil {
				t.Fatalf("inputs[%d] keeps typed contents", i)
			}
			if err := tensor.Check(input.GetDatatype(), input.GetShape(), request.GetRawInputContents()[i]); err != nil {
				t.Fatalf("inputs[%d]: %v", i, err)
			}
		}
	})
}
