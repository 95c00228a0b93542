package gateway

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/batcher/runner"
	"sluice/batcher/runner/functiontest"
)

// exchange sends one request over HTTP: header fields as name and value in turn.
func (f *fixture) exchange(t *testing.T, method, path string, body []byte, fields ...string) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, f.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(fields); i += 2 {
		request.Header.Set(fields[i], fields[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, answer
}

// numbers is the row that functiontest.Request makes, as JSON.
func numbers(first, step int) string {
	var row []string
	for i := range 16 {
		row = append(row, strconv.Itoa(first+step*i))
	}
	return strings.Join(row, ",")
}

func requestJSON(extra string) []byte {
	return fmt.Appendf(nil, `{%s"inputs":[
		{"name":"INPUT0","datatype":"INT32","shape":[1,16],"data":[[%s]]},
		{"name":"INPUT1","datatype":"INT32","shape":[1,16],"data":[%s]}]}`, extra, numbers(0, 1), numbers(1, 0))
}

func TestHTTPDescribes(t *testing.T) {
	f := start(t, "default")
	f.exchange(t, "POST", "/v2/models/simple/infer", requestJSON(""))
	for _, test := range []struct {
		path string
		code int
		has  string // JSON that must be in the answer, each field
	}{
		{"/v2", 200, `{"name":"sluice","version":"test"}`},
		{"/v2/health/live", 200, `{"live":true}`},
		{"/v2/health/ready", 200, `{"ready":true}`},
		{"/v2/models/simple/ready", 200, `{"ready":true}`},
		{"/v2/models/simple/versions/2/ready", 200, `{"ready":true}`},
		{"/v2/models/simple/versions/3/ready", 400, `{"ready":false}`},
		{"/v2/models/alone/ready", 400, `{"ready":false}`},
		{"/v2/models/simple", 200, `{"name":"simple","versions":["2"],"inputs":[
			{"name":"INPUT0","datatype":"INT32","shape":[-1,16]},{"name":"INPUT1","datatype":"INT32","shape":[-1,16]}]}`},
		{"/v2/models/simple/config", 200, `{"name":"simple","max_batch_size":8,"dynamic_batching":{"max_queue_delay_microseconds":1000,"preferred_batch_size":[]}}`},
		{"/v2/models/absent", 404, `{}`},
		{"/v2/models/alone", 404, `{}`},
		{"/v2/nothing", 404, `{"error":"nothing answers to GET \"/v2/nothing\""}`},
	} {
		response, text := f.exchange(t, "GET", test.path, nil)
		var got, want map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Errorf("%s: %v in %q", test.path, err, text)
			continue
		}
		if err := json.Unmarshal([]byte(test.has), &want); err != nil {
			t.Fatal(err)
		}
		for field := range want {
			if !reflect.DeepEqual(got[field], want[field]) {
				t.Errorf("%s: %s is %v, want %v", test.path, field, got[field], want[field])
			}
		}
		if response.StatusCode != test.code || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s, %s: %s", test.path, response.Status, response.Header.Get("Content-Type"), text)
		}
	}
	for _, path := range []string{"/v2/models/stats", "/v2/models/simple/stats"} {
		_, text := f.exchange(t, "GET", path, nil)
		if !bytes.Contains(text, []byte(`"inference_count":1,`)) || !bytes.Contains(text, []byte(`"fail":{"count":0,"ns":0}`)) {
			t.Errorf("%s: %s", path, text)
		}
	}
}

func TestHTTPInfer(t *testing.T) {
	f := start(t, "default")
	for _, path := range []string{"/v2/models/simple/infer", "/v2/models/simple/versions/2/infer"} {
		response, text := f.exchange(t, "POST", path, requestJSON(`"id":"mine","model_name":"simple",`)) // as KServe's SDK
		want := fmt.Sprintf(`{"model_name":"simple","model_version":"2","id":"mine","outputs":[`+
			`{"name":"OUTPUT0","datatype":"INT32","shape":[1,16],"data":[%s]},{"name":"OUTPUT1","datatype":"INT32","shape":[1,16],"data":[%s]}]}`,
			numbers(1, 1), numbers(-1, 1))
		if response.StatusCode != 200 || string(text) != want || response.Header.Get("sluice-request-id") != "mine" {
			t.Errorf("%s: %s %v %s, want %s", path, response.Status, response.Header, text, want)
		}
	}
}

// binaryRequest has the inputs' data behind the JSON, and wants the outputs' likewise.
func binaryRequest() (body []byte, headerBytes int) {
	header := `{"inputs":[{"name":"INPUT0","datatype":"INT32","shape":[1,16],"parameters":{"binary_data_size":64}},
		{"name":"INPUT1","datatype":"INT32","shape":[1,16],"parameters":{"binary_data_size":64}}],
		"outputs":[{"name":"OUTPUT1","parameters":{"binary_data":true}}]}`
	body = []byte(header)
	for _, raw := range functiontest.Request(1, 7).GetRawInputContents() {
		body = append(body, raw...)
	}
	return body, len(header)
}

func TestHTTPBinaryData(t *testing.T) {
	f := start(t, "default")
	body, headerBytes := binaryRequest()
	for _, encoding := range []string{"identity", "gzip", "deflate"} {
		sent := compress(t, encoding, body)
		response, answer := f.exchange(t, "POST", "/v2/models/simple/infer", sent,
			"Inference-Header-Content-Length", strconv.Itoa(headerBytes), "Content-Encoding", encoding, "Accept-Encoding", encoding)
		if response.StatusCode != 200 {
			t.Fatalf("%s: %s %s", encoding, response.Status, answer)
		}
		if got := response.Header.Get("Content-Encoding"); got != encoding && encoding != "identity" {
			t.Errorf("asked for %s, the answer is in %q", encoding, got)
		}
		answer = expand(t, encoding, answer)
		told, err := strconv.Atoi(response.Header.Get("Inference-Header-Content-Length"))
		if err != nil || told != len(answer)-64 {
			t.Fatalf("%s: %d bytes, of which %q are JSON", encoding, len(answer), response.Header.Get("Inference-Header-Content-Length"))
		}
		for i := range 16 {
			if got := int32(binary.LittleEndian.Uint32(answer[told+4*i:])); got != int32(7+i-1) {
				t.Errorf("%s: OUTPUT1[%d] is %d", encoding, i, got)
			}
		}
	}
}

// TestHTTPCompressesInferenceAlone has what tritonclient's client for asyncio asks for, which does not expand other answers.
func TestHTTPCompressesInferenceAlone(t *testing.T) {
	f := start(t, "default")
	for _, test := range []struct {
		method, path string
		body         []byte
		want         string
	}{
		{"GET", "/v2", nil, ""},
		{"GET", "/v2/models/simple", nil, ""},
		{"POST", "/v2/repository/index", nil, ""},
		{"POST", "/v2/models/simple/infer", []byte("{"), ""},
		{"POST", "/v2/models/simple/infer", requestJSON(""), "gzip"},
	} {
		response, _ := f.exchange(t, test.method, test.path, test.body, "Accept-Encoding", "gzip, deflate")
		if got := response.Header.Get("Content-Encoding"); got != test.want {
			t.Errorf("%s %s %s: the answer is in %q, want %q", test.method, test.path, test.body, got, test.want)
		}
	}
}

func compress(t *testing.T, encoding string, text []byte) []byte {
	t.Helper()
	var buffer bytes.Buffer
	var writer io.WriteCloser
	switch encoding {
	case "gzip":
		writer = gzip.NewWriter(&buffer)
	case "deflate":
		writer = zlib.NewWriter(&buffer)
	default:
		return text
	}
	if _, err := writer.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func expand(t *testing.T, encoding string, text []byte) []byte {
	t.Helper()
	var reader io.Reader
	var err error
	switch encoding {
	case "gzip":
		reader, err = gzip.NewReader(bytes.NewReader(text))
	case "deflate":
		reader, err = zlib.NewReader(bytes.NewReader(text))
	default:
		return text
	}
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

func TestHTTPRefuses(t *testing.T) {
	f := start(t, "default")
	const infer = "/v2/models/simple/infer"
	bomb := compress(t, "gzip", make([]byte, MaxMessageBytes+1))
	for _, test := range []struct {
		name   string
		path   string
		body   []byte
		fields []string
		code   int
		says   string
	}{
		{"no JSON", infer, []byte("{"), nil, 400, "the text ends before the object does"},
		{"no body", infer, nil, nil, 400, "the text ends before the object does"},
		{"unknown field", infer, requestJSON(`"model":"simple",`), nil, 400, `unknown field \"model\"`},
		{"header beyond the body", infer, requestJSON(""), []string{"Inference-Header-Content-Length", "9999"}, 400, "is 9999, the body has"},
		{"header that is no number", infer, requestJSON(""), []string{"Inference-Header-Content-Length", "-1"}, 400, "must be a number of bytes"},
		{"unknown compression", infer, requestJSON(""), []string{"Content-Encoding", "br"}, 415, "must be gzip or deflate"},
		{"not compressed", infer, requestJSON(""), []string{"Content-Encoding", "gzip"}, 400, "not in Content-Encoding gzip"},
		{"beyond the limit once expanded", infer, bomb, []string{"Content-Encoding", "gzip"}, 413, "over the limit of 67108864 bytes"},
		{"beyond the limit", infer, make([]byte, MaxMessageBytes+1), nil, 413, "over the limit of 67108864 bytes"},
		{"another's model", "/v2/models/alone/infer", requestJSON(""), nil, 404, `{"error":"Request for unknown model: \"alone\"`},
		{"wrong key", infer, requestJSON(""), []string{"Authorization", "Bearer wrong"}, 401, "no valid API key"},
		{"missing input", infer, []byte(`{"inputs":[]}`), nil, 400, "inputs has 0 tensors"},
		{"timeout", infer, requestJSON(`"parameters":{"timeout":"soon"},`), nil, 400, "timeout"},
	} {
		response, text := f.exchange(t, "POST", test.path, test.body, test.fields...)
		var answer struct{ Error string }
		if err := json.Unmarshal(text, &answer); err != nil || response.StatusCode != test.code || !strings.Contains(string(text), test.says) {
			t.Errorf("%s: %s %s, want %d that says %q (%v)", test.name, response.Status, text, test.code, test.says, err)
		}
	}
	if response, text := f.exchange(t, "GET", infer, nil); response.StatusCode != 404 {
		t.Errorf("GET of infer: %s %s", response.Status, text)
	}
	if calls := f.function.Calls(); len(calls) != 0 {
		t.Errorf("%d refused requests reached the function", len(calls))
	}
}

func TestHTTPCallers(t *testing.T) {
	f := start(t, "")
	for key, code := range map[string]int{"": 401, "Bearer secret": 200, "Bearer no": 401, "Basic secret": 401} {
		var fields []string
		if key != "" {
			fields = []string{"Authorization", key}
		}
		if response, text := f.exchange(t, "GET", "/v2/models/alone", nil, fields...); response.StatusCode != code {
			t.Errorf("authorization %q: %s %s, want %d", key, response.Status, text, code)
		}
	}
}

// A request whose client goes away ends in the function too.
func TestHTTPClientGoes(t *testing.T) {
	f, begun, ended := startEndless(t)
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "POST", f.url+"/v2/models/simple/infer", bytes.NewReader(requestJSON("")))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-begun
		cancel()
	}()
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Fatalf("answered %s", response.Status)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the function goes on for a client that is gone")
	}
}

// FuzzHTTPInfer sends any body to a function that never starts: what is no request is refused as such, and nothing ends in an
// internal error.
func FuzzHTTPInfer(f *testing.F) {
	key := runner.Key{Tenant: "default", Function: "simple", Version: "1"}
	routes := runner.New(runner.Config{})
	if err := routes.SetRoute(key, runner.Route{Policy: "window", MaxSize: 8, StartTimeout: time.Nanosecond}); err != nil {
		f.Fatal(err)
	}
	regions, _ := openRegions(f)
	known := directory{models: []runner.Key{key}}
	server := New(Config{Tenants: known, Functions: known, Runner: routes, DefaultTenant: "default", SharedMemory: regions})
	body, headerBytes := binaryRequest()
	f.Add("", "", requestJSON(`"id":"mine","parameters":{"priority":1,"timeout":1},`))
	f.Add("identity", strconv.Itoa(headerBytes), body)
	f.Add("gzip", "", []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00"))
	f.Add("", "", []byte(`{"inputs":[{"name":"a","datatype":"INT8","shape":[1],"parameters":{"shared_memory_region":"r","shared_memory_byte_size":1}}]}`))
	f.Fuzz(func(t *testing.T, encoding, headerLength string, body []byte) {
		request := httptest.NewRequest(http.MethodPost, "/v2/models/simple/infer", bytes.NewReader(body))
		request.Header.Set("Content-Encoding", encoding)
		request.Header.Set("Inference-Header-Content-Length", headerLength)
		answer := httptest.NewRecorder()
		server.http.Handler.ServeHTTP(answer, request)
		if !slices.Contains([]int{400, 404, 413, 415, 504}, answer.Code) || !json.Valid(answer.Body.Bytes()) {
			t.Fatalf("answered %d %.200q", answer.Code, answer.Body)
		}
	})
}
