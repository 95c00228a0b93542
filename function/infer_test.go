package function

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"sluice/proto/gen/inference"
)

func sum(t *testing.T, response *inference.ModelInferResponse) string {
	t.Helper()
	for i, output := range response.GetOutputs() {
		if output.GetName() == "SUM" {
			tensor := Tensor{output.GetName(), Datatype(output.GetDatatype()), output.GetShape(), response.GetRawOutputContents()[i]}
			values, err := Tensors{tensor}.Int32s("SUM")
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(output.GetShape(), values)
		}
	}
	t.Fatal("there is no SUM")
	return ""
}

func TestInferRawAndTyped(t *testing.T) {
	s := serve(t, &adder{}, noticed)
	s.awaitReady(t)
	raw := request(2)
	typed := request(2)
	typed.RawInputContents = nil
	typed.Inputs[0].Contents = &inference.InferTensorContents{IntContents: []int32{10, 20, 30, 40, 10, 20, 30, 40}}
	typed.Inputs[1].Contents = &inference.InferTensorContents{IntContents: []int32{1, 2, 3, 4, 1, 2, 3, 4}}
	for _, request := range []*inference.ModelInferRequest{raw, typed} {
		response, err := s.ModelInfer(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if got := sum(t, response); got != "[2 4] [11 22 33 44 11 22 33 44]" {
			t.Errorf("SUM is %s", got)
		}
		if response.GetId() != "a request" || response.GetModelName() != "adder" || len(response.GetOutputs()) != 2 {
			t.Errorf("response is %v", response)
		}
	}
}

func TestInferRequestedOutputs(t *testing.T) {
	s := serve(t, &adder{}, noticed)
	s.awaitReady(t)
	some := request(1)
	some.Outputs = []*inference.ModelInferRequest_InferRequestedOutputTensor{{Name: "SUM"}}
	response, err := s.ModelInfer(t.Context(), some)
	if err != nil || len(response.GetOutputs()) != 1 || len(response.GetRawOutputContents()) != 1 {
		t.Fatalf("response %v, %v", response, err)
	}
	if got := sum(t, response); got != "[1 4] [11 22 33 44]" {
		t.Errorf("SUM is %s", got)
	}
}

func TestInferRefusesBadRequests(t *testing.T) {
	model := &adder{}
	s := serve(t, model, noticed)
	s.awaitReady(t)
	contents := &inference.InferTensorContents{IntContents: []int32{1, 2, 3, 4}}
	for name, test := range map[string]struct {
		change func(*inference.ModelInferRequest)
		code   codes.Code
		says   string
	}{
		"another model":    {func(r *inference.ModelInferRequest) { r.ModelName = "other" }, codes.NotFound, `"other"`},
		"another version":  {func(r *inference.ModelInferRequest) { r.ModelVersion = "8" }, codes.NotFound, `"8"`},
		"no inputs":        {func(r *inference.ModelInferRequest) { r.Inputs, r.RawInputContents = nil, nil }, codes.InvalidArgument, `input "A" is missing`},
		"unknown input":    {func(r *inference.ModelInferRequest) { r.Inputs[0].Name = "C" }, codes.InvalidArgument, `inputs[0]: no tensor is named "C"`},
		"input twice":      {func(r *inference.ModelInferRequest) { r.Inputs[0].Name = "A" }, codes.InvalidArgument, `"A" is given twice`},
		"datatype":         {func(r *inference.ModelInferRequest) { r.Inputs[0].Datatype = "FP32" }, codes.InvalidArgument, `"B": datatype is "FP32", want INT32`},
		"dimensions":       {func(r *inference.ModelInferRequest) { r.Inputs[0].Shape = []int64{4} }, codes.InvalidArgument, "want [-1 4]"},
		"shape":            {func(r *inference.ModelInferRequest) { r.Inputs[0].Shape = []int64{1, 5} }, codes.InvalidArgument, "shape is [1 5], want [-1 4]"},
		"negative batch":   {func(r *inference.ModelInferRequest) { r.Inputs[0].Shape = []int64{-1, 4} }, codes.InvalidArgument, "shape is [-1 4]"},
		"batch too large":  {func(r *inference.ModelInferRequest) { r.Inputs[0].Shape = []int64{9, 4} }, codes.InvalidArgument, "batch size is 9, limit 8"},
		"huge batch":       {func(r *inference.ModelInferRequest) { r.Inputs[0].Shape = []int64{1 << 62, 4} }, codes.InvalidArgument, "limit 8"},
		"unequal batches":  {func(r *inference.ModelInferRequest) { *r = *unequal() }, codes.InvalidArgument, "batch size is"},
		"too few bytes":    {func(r *inference.ModelInferRequest) { r.RawInputContents[0] = make([]byte, 15) }, codes.InvalidArgument, "has 15 bytes of data, INT32 with shape [1 4] needs 16"},
		"too few raw":      {func(r *inference.ModelInferRequest) { r.RawInputContents = r.RawInputContents[:1] }, codes.InvalidArgument, "raw_input_contents: has 1 entries for 2 inputs"},
		"raw and contents": {func(r *inference.ModelInferRequest) { r.Inputs[0].Contents = contents }, codes.InvalidArgument, "contents beside"},
		"no data":          {func(r *inference.ModelInferRequest) { r.RawInputContents = nil }, codes.InvalidArgument, "has 0 bytes"},
		"unknown output": {func(r *inference.ModelInferRequest) {
			r.Outputs = []*inference.ModelInferRequest_InferRequestedOutputTensor{{Name: "A"}}
		}, codes.InvalidArgument, `outputs[0]: no tensor is named "A"`},
	} {
		t.Run(name, func(t *testing.T) {
			bad := request(1)
			test.change(bad)
			_, err := s.ModelInfer(t.Context(), bad)
			if status.Code(err) != test.code || !strings.Contains(err.Error(), test.says) {
				t.Errorf("answer is %v, want %s: %s", err, test.code, test.says)
			}
		})
	}
	if ran := model.ran(); len(ran) != 2 {
		t.Errorf("bad requests reached the model: batches %v", ran)
	}
}

// unequal has inputs of two batch sizes.
func unequal() *inference.ModelInferRequest {
	small, large := request(1), request(2)
	small.Inputs[0], small.RawInputContents[0] = large.Inputs[0], large.RawInputContents[0]
	return small
}

func TestModelErrorsBecomeCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		code codes.Code
	}{
		{fmt.Errorf("%w: A is odd", ErrInvalidInput), codes.InvalidArgument},
		{errors.New("a bug"), codes.Internal},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{fmt.Errorf("read: %w", Fatal(errors.New("gone"))), codes.Unavailable},
	} {
		s := serve(t, &adder{infer: func(context.Context) error { return test.err }}, noticed)
		s.awaitReady(t)
		if _, err := s.ModelInfer(t.Context(), request(1)); status.Code(err) != test.code {
			t.Errorf("%v became %v, want %s", test.err, err, test.code)
		}
	}
	if Fatal(nil) != nil {
		t.Error("Fatal(nil) is an error")
	}
}

func TestOutputsMustFitTheSignature(t *testing.T) {
	signature := (&adder{}).Signature()
	good := func() Tensors {
		return Tensors{
			Int32Tensor("SUM", []int64{1, 4}, make([]int32, 4)),
			{Name: "TEXT", Datatype: BYTES, Shape: []int64{1}, Data: []byte{1, 0, 0, 0, 'a'}},
		}
	}
	if err := signature.checkOutputs(good(), 1); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(Tensors) Tensors{
		"missing":    func(o Tensors) Tensors { return o[:1] },
		"renamed":    func(o Tensors) Tensors { o[0].Name = "X"; return o },
		"retyped":    func(o Tensors) Tensors { o[0].Datatype = FP32; return o },
		"reshaped":   func(o Tensors) Tensors { o[0].Shape = []int64{1, 2, 2}; return o },
		"short":      func(o Tensors) Tensors { o[0].Data = o[0].Data[:8]; return o },
		"batch":      func(o Tensors) Tensors { o[1].Shape = []int64{2}; return o },
		"short text": func(o Tensors) Tensors { o[1].Data = []byte{2, 0, 0, 0, 'a'}; return o },
		"long text":  func(o Tensors) Tensors { o[1].Data = []byte{0, 0, 0, 0, 'a'}; return o },
	} {
		if signature.checkOutputs(change(good()), 1) == nil {
			t.Errorf("%s outputs were accepted", name)
		}
	}
}

func TestModelMetadata(t *testing.T) {
	s := serve(t, &adder{}, noticed)
	got, err := s.ModelMetadata(t.Context(), &inference.ModelMetadataRequest{Name: "adder"})
	if err != nil {
		t.Fatal(err)
	}
	type tensor = inference.ModelMetadataResponse_TensorMetadata
	want := &inference.ModelMetadataResponse{
		Name: "adder", Versions: []string{"7"}, Platform: "test",
		Inputs:  []*tensor{{Name: "A", Datatype: "INT32", Shape: []int64{-1, 4}}, {Name: "B", Datatype: "INT32", Shape: []int64{-1, 4}}},
		Outputs: []*tensor{{Name: "SUM", Datatype: "INT32", Shape: []int64{-1, 4}}, {Name: "TEXT", Datatype: "BYTES", Shape: []int64{-1}}},
	}
	if !proto.Equal(got, want) {
		t.Errorf("metadata is %v, want %v", got, want)
	}
	if _, err := s.ModelMetadata(t.Context(), &inference.ModelMetadataRequest{Name: "other"}); status.Code(err) != codes.NotFound {
		t.Errorf("another model's metadata: %v", err)
	}
}
