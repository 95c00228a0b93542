package opencl

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func open(t *testing.T) *Context {
	t.Helper()
	context, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(context.Release)
	return context
}

func TestKernelOverABuffer(t *testing.T) {
	context := open(t)
	program, err := context.BuildProgram("kernel void raise(global uchar *data, int by) { data[get_global_id(0)] += by; }")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Release()
	kernel, err := program.Kernel("raise")
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Release()
	buffer, err := context.NewBuffer(4)
	if err != nil {
		t.Fatal(err)
	}
	defer buffer.Release()
	got := make([]byte, 4)
	if err := errors.Join(
		context.Write(buffer, []byte{1, 2, 3, 255}),
		kernel.SetArguments(buffer, int32(2)),
		context.Run(kernel, []int{3}, []int{1}),
		context.Finish(),
		context.Read(buffer, got),
	); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []byte{3, 4, 5, 255}) {
		t.Fatalf("the buffer holds %v", got)
	}
}

func TestDeviceName(t *testing.T) {
	name, err := open(t).DeviceName()
	if err != nil || name == "" || strings.ContainsRune(name, 0) {
		t.Fatalf("name is %q, %v", name, err)
	}
}

func TestErrorsAreNamed(t *testing.T) {
	context := open(t)
	var failure *Error
	if _, err := context.BuildProgram("kernel void broken("); !errors.As(err, &failure) || failure.Log == "" {
		t.Errorf("a program that does not compile: %v", err)
	}
	if _, err := context.NewBuffer(0); err == nil || err.Error() != "clCreateBuffer: CL_INVALID_BUFFER_SIZE (-61)" {
		t.Errorf("an empty buffer: %v", err)
	}
	buffer, err := context.NewBuffer(4)
	if err != nil {
		t.Fatal(err)
	}
	defer buffer.Release()
	if err := context.Write(buffer, make([]byte, 5)); err == nil || !strings.Contains(err.Error(), "5 bytes to a buffer of 4") {
		t.Errorf("too large a write: %v", err)
	}
}
