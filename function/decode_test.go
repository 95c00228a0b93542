package function

import (
	"bytes"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	"sluice/proto/gen/inference"
)

func TestTypedContents(t *testing.T) {
	type contents = inference.InferTensorContents
	for _, test := range []struct {
		datatype Datatype
		contents *contents
		want     []byte // nil: refused
	}{
		{BOOL, &contents{BoolContents: []bool{true, false}}, []byte{1, 0}},
		{INT8, &contents{IntContents: []int32{-128, 127}}, []byte{0x80, 0x7f}},
		{INT8, &contents{IntContents: []int32{128}}, nil},
		{INT16, &contents{IntContents: []int32{-2}}, []byte{0xfe, 0xff}},
		{INT32, &contents{IntContents: []int32{math.MinInt32}}, []byte{0, 0, 0, 0x80}},
		{INT64, &contents{Int64Contents: []int64{-1}}, []byte{255, 255, 255, 255, 255, 255, 255, 255}},
		{UINT8, &contents{UintContents: []uint32{255}}, []byte{255}},
		{UINT8, &contents{UintContents: []uint32{256}}, nil},
		{UINT16, &contents{UintContents: []uint32{258}}, []byte{2, 1}},
		{UINT32, &contents{UintContents: []uint32{math.MaxUint32}}, []byte{255, 255, 255, 255}},
		{UINT64, &contents{Uint64Contents: []uint64{math.MaxUint64}}, []byte{255, 255, 255, 255, 255, 255, 255, 255}},
		{FP32, &contents{Fp32Contents: []float32{1}}, []byte{0, 0, 0x80, 0x3f}},
		{FP64, &contents{Fp64Contents: []float64{1}}, []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f}},
		{BYTES, &contents{BytesContents: [][]byte{[]byte("ab"), nil}}, []byte{2, 0, 0, 0, 'a', 'b', 0, 0, 0, 0}},
		{FP16, &contents{Fp32Contents: []float32{1}}, nil},
	} {
		got, err := encodeContents(TensorSpec{Name: "X", Datatype: test.datatype}, test.contents)
		if (err != nil) != (test.want == nil) || !bytes.Equal(got, test.want) {
			t.Errorf("%s %v: %v, %v, want %v", test.datatype, test.contents, got, err, test.want)
		}
	}
}

func TestSignatureCheck(t *testing.T) {
	good := func() Signature { return (&adder{}).Signature() }
	if err := good().check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Signature){
		"no outputs":    func(s *Signature) { s.Outputs = nil },
		"no name":       func(s *Signature) { s.Inputs[0].Name = "" },
		"same name":     func(s *Signature) { s.Inputs[0].Name = "B" },
		"datatype":      func(s *Signature) { s.Inputs[0].Datatype = "INT33" },
		"no batch":      func(s *Signature) { s.Inputs[0].Shape = []int64{4} },
		"negative size": func(s *Signature) { s.Inputs[0].Shape = []int64{-1, -2} },
		"negative":      func(s *Signature) { s.Concurrency = -1 },
		"dimensions":    func(s *Signature) { s.Inputs[0].Shape = make([]int64, MaxDimensions+1) },
	} {
		signature := good()
		change(&signature)
		if signature.check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestElementCountCannotOverflow(t *testing.T) {
	for _, shape := range [][]int64{{1 << 32, 1 << 32}, {MaxMessageBytes + 1}, {1 << 13, 1 << 14}, {0}, {-1}} {
		if count, err := elementCount(shape); err == nil {
			t.Errorf("shape %v has %d elements", shape, count)
		}
	}
	if count, err := elementCount([]int64{1 << 13, 1 << 13}); err != nil || count != MaxMessageBytes {
		t.Errorf("the largest shape: %d, %v", count, err)
	}
}

// FuzzDecodeRequest: what the model gets to see fits its signature, whatever was sent.
func FuzzDecodeRequest(f *testing.F) {
	signature := Signature{
		MaxBatch: 8,
		Inputs:   []TensorSpec{{"A", INT32, []int64{-1, 4}}, {"T", BYTES, []int64{-1, -1}}, {"H", FP16, []int64{-1}}},
	}
	seed := request(2)
	seed.Inputs = append(seed.Inputs[1:],
		&inference.ModelInferRequest_InferInputTensor{Name: "T", Datatype: "BYTES", Shape: []int64{2, 1}},
		&inference.ModelInferRequest_InferInputTensor{Name: "H", Datatype: "FP16", Shape: []int64{2}})
	seed.RawInputContents = [][]byte{make([]byte, 32), {1, 0, 0, 0, 'x', 0, 0, 0, 0}, make([]byte, 4)}
	if _, err := signature.decodeRequest(seed); err != nil {
		f.Fatal(err)
	}
	encoded, err := proto.Marshal(seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encoded)
	f.Fuzz(func(t *testing.T, data []byte) {
		var request inference.ModelInferRequest
		if proto.Unmarshal(data, &request) != nil {
			return
		}
		inputs, err := signature.decodeRequest(&request)
		if err != nil {
			return
		}
		if len(inputs) != 3 {
			t.Fatalf("%d inputs", len(inputs))
		}
		for i, spec := range signature.Inputs {
			if inputs[i].Name != spec.Name || signature.checkTensor(spec, inputs[i]) != nil || inputs[i].checkData() != nil {
				t.Fatalf("input %v does not fit %v", inputs[i], spec)
			}
		}
		if _, err := inputs.Int32s("A"); err != nil {
			t.Fatal(err)
		}
	})
}
