package gateway

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/batcher/runner/functiontest"
	"sluice/gateway/sharedmemory"
	"sluice/proto/gen/inference"
)

// regionBytes holds two inputs and two outputs of one row.
const regionBytes = 256

// openRegions opens a folder with a file of regionBytes in it; user is whose they are.
func openRegions(t testing.TB) (regions *sharedmemory.Regions, user uint32) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "file"), make([]byte, regionBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	regions, err := sharedmemory.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := regions.Close(); err != nil {
			t.Error(err)
		}
	})
	return regions, uint32(os.Geteuid())
}

// inShm are the parameters of a tensor in shared memory.
func inShm(region string, size, offset int64) map[string]*inference.InferParameter {
	return map[string]*inference.InferParameter{
		"shared_memory_region": textParameter(region), "shared_memory_byte_size": int64Parameter(size), "shared_memory_offset": int64Parameter(offset),
	}
}

// startShared is a gateway with a folder for shared memory, and the file in it.
func startShared(t *testing.T) (f *fixture, file string) {
	t.Helper()
	regions, _ := openRegions(t)
	f = startConfigured(t, Config{DefaultTenant: "default", SharedMemory: regions}, functiontest.Simple, nil)
	return f, regions.Path("file")
}

// fill puts the inputs of a request into the beginning of a file.
func fill(t *testing.T, file string, request *inference.ModelInferRequest) {
	t.Helper()
	var data []byte
	for _, raw := range request.GetRawInputContents() {
		data = append(data, raw...)
	}
	if err := os.WriteFile(file, append(data, make([]byte, regionBytes-len(data))...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// outputsOf reads the answer that lies behind the inputs.
func outputsOf(t *testing.T, file string) *inference.ModelInferResponse {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return &inference.ModelInferResponse{
		Outputs: []*inference.ModelInferResponse_InferOutputTensor{
			{Name: "OUTPUT0", Datatype: "INT32", Shape: []int64{1, 16}}, {Name: "OUTPUT1", Datatype: "INT32", Shape: []int64{1, 16}},
		},
		RawOutputContents: [][]byte{data[128:192], data[192:256]},
	}
}

func TestSharedMemory(t *testing.T) {
	f, file := startShared(t)
	request := functiontest.Request(1, 5)
	fill(t, file, request)
	if _, err := f.SystemSharedMemoryRegister(t.Context(), &inference.SystemSharedMemoryRegisterRequest{
		Name: "all", Key: "/file", ByteSize: regionBytes,
	}); err != nil {
		t.Fatal(err)
	}
	request.Inputs[0].Parameters, request.Inputs[1].Parameters = inShm("all", 64, 0), inShm("all", 64, 64)
	request.RawInputContents = nil
	request.Outputs = []*inference.ModelInferRequest_InferRequestedOutputTensor{
		{Name: "OUTPUT0", Parameters: inShm("all", 64, 128)}, {Name: "OUTPUT1", Parameters: inShm("all", 64, 192)},
	}
	response, err := f.ModelInfer(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	functiontest.CheckSum(t, outputsOf(t, file), 1, 5)
	if len(response.GetRawOutputContents()) != 2 || len(response.GetRawOutputContents()[0]) != 0 {
		t.Errorf("the answer carries %q", response.GetRawOutputContents())
	}
	if got := f.function.Calls()[0].Request; len(got.GetInputs()[0].GetParameters()) != 0 || len(got.GetOutputs()[0].GetParameters()) != 0 {
		t.Errorf("the function hears of shared memory: %v", got)
	}
	// One input in the message, the other one in the region, and no output there.
	request = functiontest.Request(1, 5)
	request.Inputs[0].Parameters = inShm("all", 64, 0)
	request.RawInputContents = request.RawInputContents[1:]
	if response, err = f.ModelInfer(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	functiontest.CheckSum(t, response, 1, 5)
}

func TestSharedMemoryRefuses(t *testing.T) {
	f, file := startShared(t)
	if _, err := f.SystemSharedMemoryRegister(t.Context(), &inference.SystemSharedMemoryRegisterRequest{
		Name: "all", Key: "file", ByteSize: regionBytes,
	}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name       string
		parameters map[string]*inference.InferParameter
		code       codes.Code
		says       string
	}{
		{"no such region", inShm("none", 64, 0), codes.NotFound, `no region "none"`},
		{"beyond the end", inShm("all", 64, 193), codes.InvalidArgument, "beyond the end"},
		{"overflow", inShm("all", 1<<62, 1<<62), codes.InvalidArgument, "beyond the end"},
		{"negative", inShm("all", -1, 0), codes.InvalidArgument, "shared_memory_byte_size"},
		{"other size than the shape's", inShm("all", 32, 0), codes.InvalidArgument, "32 bytes of data"},
		{"no size", map[string]*inference.InferParameter{"shared_memory_region": textParameter("all")}, codes.InvalidArgument, "shared_memory_byte_size"},
		{"no region", map[string]*inference.InferParameter{"shared_memory_byte_size": int64Parameter(64)}, codes.InvalidArgument, "shared_memory_region"},
		{"unknown", map[string]*inference.InferParameter{"shared_memory_key": int64Parameter(64)}, codes.InvalidArgument, "reserved"},
	} {
		request := functiontest.Request(1, 0)
		request.Inputs[0].Parameters = test.parameters
		request.RawInputContents = request.RawInputContents[1:]
		if _, err := f.ModelInfer(t.Context(), request); status.Code(err) != test.code || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %v that says %q", test.name, err, test.code, test.says)
		}
	}
	request := functiontest.Request(1, 0)
	request.Outputs = []*inference.ModelInferRequest_InferRequestedOutputTensor{{Name: "OUTPUT0", Parameters: inShm("all", 63, 0)}}
	if _, err := f.ModelInfer(t.Context(), request); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), `output "OUTPUT0"`) {
		t.Errorf("an output that does not fit: %v", err)
	}
	// A client that takes its file's memory away harms itself alone.
	if err := os.Truncate(file, 10); err != nil {
		t.Fatal(err)
	}
	request = functiontest.Request(1, 0)
	request.Inputs[0].Parameters = inShm("all", 64, 0)
	request.RawInputContents = request.RawInputContents[1:]
	if _, err := f.ModelInfer(t.Context(), request); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("a truncated file: %v", err)
	}
}

func TestSharedMemoryIsOff(t *testing.T) {
	f := start(t, "default")
	if _, err := f.SystemSharedMemoryStatus(t.Context(), &inference.SystemSharedMemoryStatusRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("status: %v", err)
	}
	if response, text := f.exchange(t, "POST", "/v2/systemsharedmemory/region/a/register", []byte(`{"key":"a","byte_size":1}`)); response.StatusCode != 501 {
		t.Errorf("register: %s %s", response.Status, text)
	}
}

func TestHTTPSharedMemory(t *testing.T) {
	f, file := startShared(t)
	fill(t, file, functiontest.Request(1, 9))
	for _, step := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"POST", "/v2/cudasharedmemory/unregister", "", 200, "{}"},
		{"GET", "/v2/cudasharedmemory/status", "", 200, "[]"},
		{"POST", "/v2/cudasharedmemory/region/a/register", `{"raw_handle":{"b64":""},"device_id":0,"byte_size":1}`, 501, `{"error":"not served: shared memory of CUDA devices"}`},
		{"POST", "/v2/systemsharedmemory/unregister", "", 200, "{}"},
		{"GET", "/v2/systemsharedmemory/status", "", 200, "[]"},
		{"POST", "/v2/systemsharedmemory/region/all/register", `{"key":"/file","offset":0,"byte_size":256}`, 200, "{}"},
		{"POST", "/v2/systemsharedmemory/region/all/register", `{"key":"/file","offset":0,"byte_size":256}`, 409, `{"error":"shared memory region exists: \"all\""}`},
		{"GET", "/v2/systemsharedmemory/region/all/status", "", 200, `[{"byte_size":256,"key":"/file","name":"all","offset":0}]`},
		{"GET", "/v2/systemsharedmemory/region/b/status", "", 404, `{"error":"shared memory not found: no region \"b\""}`},
	} {
		response, text := f.exchange(t, step.method, step.path, []byte(step.body))
		if response.StatusCode != step.code || string(text) != step.want {
			t.Errorf("%s %s: %s %s, want %d %s", step.method, step.path, response.Status, text, step.code, step.want)
		}
	}
	tensor := func(name string, offset int) string {
		return fmt.Sprintf(`{"name":%q,"datatype":"INT32","shape":[1,16],"parameters":{"shared_memory_region":"all","shared_memory_byte_size":64,"shared_memory_offset":%d}}`, name, offset)
	}
	output := func(name string, offset int) string {
		return strings.Replace(tensor(name, offset), `"datatype":"INT32","shape":[1,16],`, "", 1)
	}
	body := fmt.Sprintf(`{"parameters":{"binary_data_output":true},"inputs":[%s,%s],"outputs":[%s,%s]}`,
		tensor("INPUT0", 0), tensor("INPUT1", 64), output("OUTPUT0", 128), output("OUTPUT1", 192))
	response, text := f.exchange(t, "POST", "/v2/models/simple/infer", []byte(body))
	var answer struct {
		Outputs []struct {
			Data       []int
			Parameters map[string]any
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil || response.StatusCode != 200 || len(answer.Outputs) != 2 {
		t.Fatalf("%s %s: %v", response.Status, text, err)
	}
	if one := answer.Outputs[1]; one.Data != nil || one.Parameters != nil {
		t.Errorf("%s", text)
	}
	functiontest.CheckSum(t, outputsOf(t, file), 1, 9)
	if response, text := f.exchange(t, "POST", "/v2/systemsharedmemory/region/all/unregister", nil); response.StatusCode != 200 {
		t.Errorf("unregister: %s %s", response.Status, text)
	}
	if response, text := f.exchange(t, "POST", "/v2/models/simple/infer", []byte(body)); response.StatusCode != 404 {
		t.Errorf("after unregister: %s %s", response.Status, text)
	}
}

// A tenant neither sees nor uses another's region.
func TestSharedMemoryIsTheTenants(t *testing.T) {
	f, _ := startShared(t)
	if _, err := f.SystemSharedMemoryRegister(t.Context(), &inference.SystemSharedMemoryRegisterRequest{Name: "mine", Key: "file", ByteSize: 64}); err != nil {
		t.Fatal(err)
	}
	other := as(t, "sluice-api-key", "secret")
	if seen, err := f.SystemSharedMemoryStatus(other, &inference.SystemSharedMemoryStatusRequest{}); err != nil || len(seen.GetRegions()) != 0 {
		t.Errorf("another tenant sees %v, %v", seen, err)
	}
	request := functiontest.Request(1, 0)
	request.ModelName = "alone"
	request.Inputs[0].Parameters = inShm("mine", 64, 0)
	request.RawInputContents = request.RawInputContents[1:]
	if _, err := f.ModelInfer(other, request); status.Code(err) != codes.NotFound {
		t.Errorf("another tenant uses the region: %v", err)
	}
	if _, err := f.SystemSharedMemoryUnregister(other, &inference.SystemSharedMemoryUnregisterRequest{}); err != nil {
		t.Error(err)
	}
	if seen, err := f.SystemSharedMemoryStatus(t.Context(), &inference.SystemSharedMemoryStatusRequest{}); err != nil || len(seen.GetRegions()) != 1 {
		t.Errorf("another tenant ended the region: %v, %v", seen, err)
	}
}
