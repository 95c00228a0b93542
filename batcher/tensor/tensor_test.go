package tensor

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"sluice/proto/gen/inference"
)

func TestElements(t *testing.T) {
	for _, test := range []struct {
		shape []int64
		want  int64
		err   string
	}{
		{shape: nil, want: 1},
		{shape: []int64{2, 3, 4}, want: 24},
		{shape: []int64{math.MaxInt64, 0, math.MaxInt64}, want: 0},
		{shape: []int64{1, -1}, err: "shape[1] is -1"},
		{shape: []int64{0, -1}, err: "shape[1] is -1"},
		{shape: []int64{1 << 32, 1 << 31}, err: "more elements than can be counted"},
		{shape: make([]int64, MaxRank+1), err: "limit is 16"},
	} {
		got, err := Elements(test.shape)
		if test.err != "" {
			if !errors.Is(err, ErrTensor) || !strings.Contains(err.Error(), test.err) {
				t.Errorf("Elements(%v) = %v, want an error with %q", test.shape, err, test.err)
			}
			continue
		}
		if got != test.want || err != nil {
			t.Errorf("Elements(%v) = %d, %v, want %d", test.shape, got, err, test.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		datatype string
		shape    []int64
		raw      string
		err      string
	}{
		{"INT32", []int64{2}, "12345678", ""},
		{"INT32", []int64{2}, "1234567", "7 bytes of data"},
		{"FP64", []int64{1 << 61}, "", "0 bytes of data"},
		{"COMPLEX", []int64{1}, "1", `datatype "COMPLEX" is unknown`},
		{"BYTES", []int64{2}, "\x01\x00\x00\x00a\x00\x00\x00\x00", ""},
		{"BYTES", []int64{2}, "\x01\x00\x00\x00a\x00\x00\x00", "data ends before element 1"},
		{"BYTES", []int64{1}, "\xff\xff\xff\xffa", "says 4294967295 bytes, 1 are left"},
		{"BYTES", []int64{1}, "\x01\x00\x00\x00ab", "1 bytes of data follow"},
		{"BYTES", []int64{1 << 62}, "", "data ends before element 0"},
	} {
		err := Check(test.datatype, test.shape, []byte(test.raw))
		if test.err == "" && err != nil || test.err != "" && (!errors.Is(err, ErrTensor) || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("Check(%s%v, %q) = %v, want %q", test.datatype, test.shape, test.raw, err, test.err)
		}
	}
}

func TestEncode(t *testing.T) {
	for _, test := range []struct {
		datatype string
		contents *inference.InferTensorContents
		want     string
		err      string
	}{
		{"BOOL", &inference.InferTensorContents{BoolContents: []bool{true, false}}, "\x01\x00", ""},
		{"INT8", &inference.InferTensorContents{IntContents: []int32{-1, 127}}, "\xff\x7f", ""},
		{"INT8", &inference.InferTensorContents{IntContents: []int32{-1, 128}}, "", "element 1 is 128"},
		{"UINT16", &inference.InferTensorContents{UintContents: []uint32{1, 65535}}, "\x01\x00\xff\xff", ""},
		{"UINT8", &inference.InferTensorContents{UintContents: []uint32{1, 256}}, "", "out of the range 0 to 255"},
		{"INT32", &inference.InferTensorContents{IntContents: []int32{1, -2}}, "\x01\x00\x00\x00\xfe\xff\xff\xff", ""},
		{"FP32", &inference.InferTensorContents{Fp32Contents: []float32{1, 2}}, "\x00\x00\x80\x3f\x00\x00\x00\x40", ""},
		{"BYTES", &inference.InferTensorContents{BytesContents: [][]byte{[]byte("a"), nil}}, "\x01\x00\x00\x00a\x00\x00\x00\x00", ""},
		{"INT32", &inference.InferTensorContents{Int64Contents: []int64{1, 2}}, "", "INT32 belongs into int_contents alone"},
		{"INT32", &inference.InferTensorContents{IntContents: []int32{1, 2}, UintContents: []uint32{1}}, "", "several fields holds data"},
		{"INT32", &inference.InferTensorContents{IntContents: []int32{1}}, "", "has 1 elements"},
		{"INT32", nil, "", "int_contents has 0 elements"},
		{"FP16", &inference.InferTensorContents{}, "", `"FP16" has no typed contents`},
	} {
		got, err := Encode(test.datatype, []int64{2}, test.contents)
		if test.err == "" && (err != nil || string(got) != test.want) || test.err != "" && (!errors.Is(err, ErrTensor) || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("Encode(%s, %v) = %q, %v, want %q, %q", test.datatype, test.contents, got, err, test.want, test.err)
		}
	}
}

// FuzzSplit checks that parts of any data that passes Check are that data again when put together, and that each
// part is a tensor of its own.
func FuzzSplit(f *testing.F) {
	f.Add("BYTES", int64(2), int64(1), uint8(1), []byte("\x01\x00\x00\x00a\x00\x00\x00\x00"))
	f.Add("INT16", int64(3), int64(2), uint8(2), []byte("abcdefghijkl"))
	f.Add("BYTES", int64(1), int64(2), uint8(1), []byte("\xff\xff\xff\xff"))
	f.Add("FP64", int64(0), int64(math.MaxInt64), uint8(0), []byte{})
	f.Fuzz(func(t *testing.T, datatype string, first, second int64, cut uint8, raw []byte) {
		shape := []int64{first, second}
		if Check(datatype, shape, raw) != nil || first > math.MaxInt32 {
			return
		}
		left := int(min(int64(cut), first))
		rows := []int{left, int(first) - left}
		parts, err := Split(datatype, shape, raw, rows)
		if err != nil {
			if second > math.MaxInt32 {
				return // an empty tensor, whose rows cannot be counted
			}
			t.Fatalf("Split(%s%v, %v): %v", datatype, shape, rows, err)
		}
		if joined := bytes.Join(parts, nil); !bytes.Equal(joined, raw) {
			t.Fatalf("parts make %q of %q", joined, raw)
		}
		for i, part := range parts {
			if err := Check(datatype, []int64{int64(rows[i]), second}, part); err != nil {
				t.Fatalf("part %d: %v", i, err)
			}
		}
	})
}

func TestPad(t *testing.T) {
	for _, test := range []struct {
		datatype string
		shape    []int64
		raw      string
		length   int64
		want     string
	}{
		{"UINT8", []int64{2, 2}, "abcd", 3, "ab\x00cd\x00"},
		{"INT16", []int64{1, 1, 2}, "aabb", 2, "aabb\x00\x00\x00\x00"},
		{
			"BYTES",
			[]int64{2, 1},
			"\x01\x00\x00\x00a\x02\x00\x00\x00bc", 2,
			"\x01\x00\x00\x00a\x00\x00\x00\x00\x02\x00\x00\x00bc\x00\x00\x00\x00",
		},
		{"FP32", []int64{1, 0}, "", 1, "\x00\x00\x00\x00"},
		{"FP32", []int64{0, 3}, "", 4, ""},
	} {
		got, err := Pad(nil, test.datatype, test.shape, []byte(test.raw), test.length)
		if err != nil || string(got) != test.want {
			t.Errorf("Pad(%s%v, %d) = %q, %v, want %q", test.datatype, test.shape, test.length, got, err, test.want)
		}
	}
}

// FuzzPad checks that data that were padded are a tensor, and cut to what they were are those data again.
func FuzzPad(f *testing.F) {
	f.Add("BYTES", uint8(2), uint8(1), uint8(1), uint8(3), []byte("\x01\x00\x00\x00a\x00\x00\x00\x00"))
	f.Add("INT16", uint8(3), uint8(2), uint8(1), uint8(4), []byte("abcdefghijkl"))
	f.Fuzz(func(t *testing.T, datatype string, rows, has, inner, more uint8, raw []byte) {
		shape := []int64{int64(rows), int64(has), int64(inner)}
		if Check(datatype, shape, raw) != nil {
			return
		}
		length := int64(has) + int64(more)
		padded, err := Pad(nil, datatype, shape, raw, length)
		if err != nil {
			t.Fatal(err)
		}
		longer := []int64{int64(rows), length, int64(inner)}
		if err := Check(datatype, longer, padded); err != nil {
			t.Fatal(err)
		}
		if cut, err := Cut(datatype, longer, padded, int64(has)); err != nil || !bytes.Equal(cut, raw) {
			t.Fatalf("%q padded is %q, and cut again %q, %v", raw, padded, cut, err)
		}
	})
}
