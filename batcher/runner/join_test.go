package runner

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"sluice/batcher/runner/functiontest"
	"sluice/batcher/tensor"
	"sluice/proto/gen/inference"
)

// echo answers a request with its inputs as outputs.
func echo(request *inference.ModelInferRequest) *inference.ModelInferResponse {
	response := &inference.ModelInferResponse{RawOutputContents: request.GetRawInputContents()}
	for _, input := range request.GetInputs() {
		response.Outputs = append(response.Outputs, &inference.ModelInferResponse_InferOutputTensor{
			Name: input.GetName(), Datatype: input.GetDatatype(), Shape: input.GetShape(),
		})
	}
	return response
}

// FuzzJoin cuts random data into requests of one class, joins them, lets the function give back what it got, splits
// that, and demands that every request has its own data and shape again.
func FuzzJoin(f *testing.F) {
	f.Add([]byte{1, 2, 1}, []byte("some data to cut into rows of two tensors"), uint8(3))
	f.Add([]byte{7}, []byte{}, uint8(0))
	f.Add([]byte{1, 1, 1, 1}, bytes.Repeat([]byte{5, 0, 255}, 40), uint8(1))
	f.Fuzz(func(t *testing.T, sizes []byte, data []byte, width uint8) {
		if len(sizes) == 0 || len(sizes) > 16 {
			return
		}
		members := make([]*inference.ModelInferRequest, len(sizes))
		rows := make([]int, len(sizes))
		var class string
		for i, size := range sizes {
			rows[i] = int(size%4) + 1
			members[i], data = cut(data, rows[i], int(width%5))
			got, own, err := classify(members[i], nil)
			if err != nil || got != rows[i] {
				t.Fatalf("classify request of %d rows: %d, %v", rows[i], got, err)
			}
			if i > 0 && own != class {
				t.Fatalf("requests of one kind have classes %q and %q", class, own)
			}
			class = own
		}
		kept := make([]*inference.ModelInferRequest, len(members))
		for i, member := range members {
			kept[i] = proto.CloneOf(member)
		}
		joined, err := join("echo", members, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, input := range joined.GetInputs() {
			if err := tensor.Check(input.GetDatatype(), input.GetShape(), joined.GetRawInputContents()[i]); err != nil {
				t.Fatalf("joined input %d: %v", i, err)
			}
		}
		answers, err := split(echo(joined), rows)
		if err != nil {
			t.Fatal(err)
		}
		for i, answer := range answers {
			if !proto.Equal(members[i], kept[i]) {
				t.Fatalf("request %d was changed", i)
			}
			if want := echo(members[i]); !proto.Equal(answer, want) {
				t.Fatalf("request %d of rows %v got %v, want %v", i, rows, answer, want)
			}
		}
	})
}

// cut makes a request of an INT16 and a BYTES tensor of so many rows from data, zeros where it ends.
func cut(data []byte, rows, width int) (request *inference.ModelInferRequest, rest []byte) {
	next := func(count int) []byte {
		part := make([]byte, count)
		data = data[copy(part, data):]
		return part
	}
	var text []byte
	for range rows * width {
		length := int(next(1)[0]) % 9
		text = append(append(text, byte(length), 0, 0, 0), next(length)...)
	}
	return &inference.ModelInferRequest{
		Inputs: []*inference.ModelInferRequest_InferInputTensor{
			{Name: "number", Datatype: "INT16", Shape: []int64{int64(rows), 3}},
			{Name: "text", Datatype: tensor.Bytes, Shape: []int64{int64(rows), int64(width)}},
		},
		RawInputContents: [][]byte{next(rows * 6), text},
	}, data
}

// Requests are of one class only where nothing but the number of rows differs.
func TestClassify(t *testing.T) {
	base := func() *inference.ModelInferRequest {
		request, _ := cut(nil, 2, 1)
		return request
	}
	_, class, err := classify(base(), nil)
	if err != nil {
		t.Fatal(err)
	}
	number := func(value int64) *inference.InferParameter {
		return &inference.InferParameter{ParameterChoice: &inference.InferParameter_Int64Param{Int64Param: value}}
	}
	for name, change := range map[string]func(r *inference.ModelInferRequest){
		"name":     func(r *inference.ModelInferRequest) { r.Inputs[0].Name = "other" },
		"datatype": func(r *inference.ModelInferRequest) { r.Inputs[0].Datatype = "UINT16" },
		"shape":    func(r *inference.ModelInferRequest) { r.Inputs[0].Shape[1] = 4 },
		"rank":     func(r *inference.ModelInferRequest) { r.Inputs[0].Shape = []int64{2, 3, 1} },
		"order":    func(r *inference.ModelInferRequest) { r.Inputs[0], r.Inputs[1] = r.Inputs[1], r.Inputs[0] },
		"fewer":    func(r *inference.ModelInferRequest) { r.Inputs = r.Inputs[:1] },
		"parameter": func(r *inference.ModelInferRequest) {
			r.Parameters = map[string]*inference.InferParameter{"a": number(1)}
		},
		"input parameter": func(r *inference.ModelInferRequest) {
			r.Inputs[0].Parameters = map[string]*inference.InferParameter{"a": number(1)}
		},
		"output parameter": func(r *inference.ModelInferRequest) {
			r.Outputs = []*inference.ModelInferRequest_InferRequestedOutputTensor{
				{Name: "text", Parameters: map[string]*inference.InferParameter{"a": number(1)}},
			}
		},
	} {
		request := base()
		change(request)
		if _, other, err := classify(request, nil); err != nil || other == class {
			t.Errorf("another %s: class is the same, or %v", name, err)
		}
	}
	same := base()
	same.Id = "other"
	same.Parameters = map[string]*inference.InferParameter{"timeout": number(1), "priority": number(2)}
	same.Outputs = []*inference.ModelInferRequest_InferRequestedOutputTensor{{Name: "text"}}
	if _, other, err := classify(same, nil); err != nil || other != class {
		t.Errorf("id, timeout, priority and outputs make another class, or %v", err)
	}
	joined, err := join("f", []*inference.ModelInferRequest{same, base()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(joined.GetParameters()); got != "map[]" {
		t.Errorf("the function gets parameters %s", got)
	}
}

// Requests that differ in a dimension that is padded share a batch, and each gets its own part of the answer.
func TestPadding(t *testing.T) {
	echo := &functiontest.Function{Infer: func(call functiontest.Call) (*inference.ModelInferResponse, error) {
		input := call.Request.GetInputs()[0]
		return &inference.ModelInferResponse{
			Outputs: []*inference.ModelInferResponse_InferOutputTensor{
				{Name: "WORDS", Datatype: "BYTES", Shape: input.GetShape()}, {Name: "PADDED", Datatype: "BYTES", Shape: input.GetShape()},
			},
			RawOutputContents: [][]byte{call.Request.GetRawInputContents()[0], call.Request.GetRawInputContents()[0]},
		}, nil
	}}
	r := start(t, Route{Policy: "window", MaxSize: 2, MaxWait: time.Hour, StartTimeout: time.Hour, Pad: []string{"WORDS"}}, nil)
	serve(t, r, echo, 1)
	words := func(words ...string) *inference.ModelInferRequest {
		var raw []byte
		for _, word := range words {
			raw = append(binary.LittleEndian.AppendUint32(raw, uint32(len(word))), word...)
		}
		return &inference.ModelInferRequest{
			Inputs: []*inference.ModelInferRequest_InferInputTensor{
				{Name: "WORDS", Datatype: "BYTES", Shape: []int64{1, int64(len(words))}},
			},
			RawInputContents: [][]byte{raw},
		}
	}
	short, long := words("a", "bc", "def"), words("g", "h", "i", "j")
	results := []<-chan result{inferLater(t.Context(), r, short), inferLater(t.Context(), r, long)}
	for i, request := range []*inference.ModelInferRequest{short, long} {
		got := <-results[i]
		if got.err != nil {
			t.Fatal(got.err)
		}
		if output := got.response.GetOutputs()[0]; output.GetShape()[1] != request.GetInputs()[0].GetShape()[1] ||
			!bytes.Equal(got.response.GetRawOutputContents()[0], request.GetRawInputContents()[0]) {
			t.Errorf("request %d is answered with %v %q", i, output, got.response.GetRawOutputContents()[0])
		}
		if output := got.response.GetOutputs()[1]; output.GetShape()[1] != 4 {
			t.Errorf("an output that is not to be cut has shape %v", output.GetShape())
		}
	}
	if calls := echo.Calls(); len(calls) != 1 {
		t.Errorf("%d batches ran, want one", len(calls))
	}
	_, class, err := classify(short, []string{"WORDS"})
	if err != nil {
		t.Fatal(err)
	}
	if _, other, err := classify(words("1", "2", "3", "4", "5"), []string{"WORDS"}); err != nil || other == class {
		t.Errorf("lengths on both sides of a power of two share a batch (%v)", err)
	}
}
