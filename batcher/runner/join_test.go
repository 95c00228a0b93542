package runner

import (
	"bytes"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

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
			got, own, err := classify(members[i])
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
		joined := join("echo", members)
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
	_, class, err := classify(base())
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
		if _, other, err := classify(request); err != nil || other == class {
			t.Errorf("another %s: class is the same, or %v", name, err)
		}
	}
	same := base()
	same.Id = "other"
	same.Parameters = map[string]*inference.InferParameter{"timeout": number(1), "priority": number(2)}
	same.Outputs = []*inference.ModelInferRequest_InferRequestedOutputTensor{{Name: "text"}}
	if _, other, err := classify(same); err != nil || other != class {
		t.Errorf("id, timeout, priority and outputs make another class, or %v", err)
	}
	if got := fmt.Sprint(join("f", []*inference.ModelInferRequest{same, base()}).GetParameters()); got != "map[]" {
		t.Errorf("the function gets parameters %s", got)
	}
}
