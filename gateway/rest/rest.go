// Package rest is the protocol's other door: Open Inference Protocol v2 over HTTP (inference_rest.md) with Triton's binary
// tensor data (extension_binary_data.md), model configuration and statistics. It turns HTTP into the calls of the gRPC
// service and their answers into HTTP, and decides nothing.
package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"sluice/gateway/intake"
	"sluice/proto/gen/inference"
)

// Config is what a door needs.
type Config struct {
	Service inference.GRPCInferenceServiceServer
	// Status gives an error of Service its status; call names what was asked.
	Status func(ctx context.Context, call string, err error) *status.Status
	// Headers are the names of HTTP's header fields that become the call's metadata; the others are dropped.
	Headers []string
	// BodyBytesMax bounds a request's body, compressed or not, and the tensors in it.
	BodyBytesMax int
	// Intake is told of each body that begins to come in.
	Intake *intake.Intake
	// WriteTimeout bounds how long a client may take to read an answer.
	WriteTimeout time.Duration
}

type door struct {
	Config
	mux *http.ServeMux
}

// New gives the handler of all paths.
func New(config Config) http.Handler {
	d := &door{Config: config, mux: http.NewServeMux()}
	service := config.Service
	ask(d, "GET /v2", service.ServerMetadata, func(*http.Request) *inference.ServerMetadataRequest {
		return new(inference.ServerMetadataRequest)
	})
	ask(d, "GET /v2/health/live", service.ServerLive, func(*http.Request) *inference.ServerLiveRequest {
		return new(inference.ServerLiveRequest)
	})
	ask(d, "GET /v2/health/ready", service.ServerReady, func(*http.Request) *inference.ServerReadyRequest {
		return new(inference.ServerReadyRequest)
	})
	ask(d, "GET /v2/models/stats", service.ModelStatistics, func(*http.Request) *inference.ModelStatisticsRequest {
		return new(inference.ModelStatisticsRequest)
	})
	for _, model := range []string{"/v2/models/{model}", "/v2/models/{model}/versions/{version}"} {
		ask(d, "GET "+model, service.ModelMetadata, func(r *http.Request) *inference.ModelMetadataRequest {
			return &inference.ModelMetadataRequest{Name: r.PathValue("model"), Version: r.PathValue("version")}
		})
		ask(d, "GET "+model+"/ready", service.ModelReady, func(r *http.Request) *inference.ModelReadyRequest {
			return &inference.ModelReadyRequest{Name: r.PathValue("model"), Version: r.PathValue("version")}
		})
		ask(d, "GET "+model+"/config", d.modelConfig, func(r *http.Request) *inference.ModelConfigRequest {
			return &inference.ModelConfigRequest{Name: r.PathValue("model"), Version: r.PathValue("version")}
		})
		ask(d, "GET "+model+"/stats", service.ModelStatistics, func(r *http.Request) *inference.ModelStatisticsRequest {
			return &inference.ModelStatisticsRequest{Name: r.PathValue("model"), Version: r.PathValue("version")}
		})
		d.mux.HandleFunc("POST "+model+"/infer", d.infer)
	}
	d.answer("POST /v2/repository/index", d.index)
	d.shareMemory()
	d.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.refuse(w, r, failure{http.StatusNotFound, fmt.Sprintf("nothing answers to %s %.128q", r.Method, r.URL.Path)})
	})
	return http.HandlerFunc(d.serve)
}

// serve gives the request a context that the service's calls understand.
func (d *door) serve(w http.ResponseWriter, r *http.Request) {
	carried := make(metadata.MD)
	for _, name := range d.Headers {
		if values := r.Header.Values(name); len(values) > 0 {
			carried.Set(name, values...)
		}
	}
	ctx := metadata.NewIncomingContext(withPeer(r), carried)
	ctx = grpc.NewContextWithServerTransportStream(ctx, headerWriter{r.URL.Path, w.Header()})
	d.mux.ServeHTTP(w, r.WithContext(ctx))
}

// withPeer is the request's context with the connection's addresses.
func withPeer(r *http.Request) context.Context {
	from := new(peer.Peer)
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		from.Addr = net.TCPAddrFromAddrPort(at)
	}
	from.LocalAddr, _ = r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return peer.NewContext(r.Context(), from)
}

// headerWriter lets metadata that a call sets become fields of HTTP's header.
type headerWriter struct {
	path   string
	header http.Header
}

var errNoTrailer = errors.New("an answer over HTTP has no trailer")

func (h headerWriter) Method() string { return h.path }

func (h headerWriter) SetHeader(md metadata.MD) error {
	for name, values := range md {
		for _, value := range values {
			h.header.Add(name, value)
		}
	}
	return nil
}

func (h headerWriter) SendHeader(md metadata.MD) error { return h.SetHeader(md) }

func (h headerWriter) SetTrailer(metadata.MD) error { return errNoTrailer }

// ask serves a call without a body.
func ask[Request, Answer proto.Message](
	d *door, pattern string, call func(context.Context, Request) (Answer, error), request func(*http.Request) Request,
) {
	d.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		answer, err := call(r.Context(), request(r))
		if err != nil {
			d.refuse(w, r, err)
			return
		}
		code := http.StatusOK
		if refusing, ok := any(answer).(interface{ GetReady() bool }); ok && !refusing.GetReady() {
			code = http.StatusBadRequest // "not ready" is a 4xx (inference_rest.md, health)
		}
		text, err := json.Marshal(object(answer.ProtoReflect()))
		if err != nil {
			d.refuse(w, r, err)
			return
		}
		d.send(w, code, "application/json", "", text)
	})
}

// modelConfig answers with the configuration itself: over HTTP nothing is around it (extension_model_configuration.md).
func (d *door) modelConfig(ctx context.Context, request *inference.ModelConfigRequest) (*inference.ModelConfig, error) {
	answer, err := d.Service.ModelConfig(ctx, request)
	return answer.GetConfig(), err
}

// index lists what the caller has deployed (extension_model_repository.md): over HTTP nothing is around the list.
func (d *door) index(r *http.Request, body []byte) (any, error) {
	var wanted struct {
		Ready bool `json:"ready"`
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &wanted); err != nil {
			return nil, failure{http.StatusBadRequest, fmt.Sprintf("the body is no index request: %v", err)}
		}
	}
	answer, err := d.Service.RepositoryIndex(r.Context(), &inference.RepositoryIndexRequest{Ready: wanted.Ready})
	if err != nil {
		return nil, err
	}
	models := make([]any, 0, len(answer.GetModels()))
	for _, model := range answer.GetModels() {
		models = append(models, object(model.ProtoReflect()))
	}
	return models, nil
}

// httpStatuses maps gRPC's codes; what is not there is 500.
var httpStatuses = map[codes.Code]int{
	codes.InvalidArgument:    http.StatusBadRequest,
	codes.FailedPrecondition: http.StatusBadRequest,
	codes.OutOfRange:         http.StatusBadRequest,
	codes.Unauthenticated:    http.StatusUnauthorized,
	codes.PermissionDenied:   http.StatusForbidden,
	codes.NotFound:           http.StatusNotFound,
	codes.AlreadyExists:      http.StatusConflict,
	codes.Aborted:            http.StatusConflict,
	codes.ResourceExhausted:  http.StatusTooManyRequests,
	codes.Canceled:           statusClientGone,
	codes.Unimplemented:      http.StatusNotImplemented,
	codes.Unavailable:        http.StatusServiceUnavailable,
	codes.DeadlineExceeded:   http.StatusGatewayTimeout,
}

// statusClientGone is what proxies log for a request whose client went away; nobody reads it.
const statusClientGone = 499

// failure is an error of HTTP alone.
type failure struct {
	code int
	text string
}

func (f failure) Error() string { return f.text }

// refuse answers with an error's text and code.
func (d *door) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var own failure
	if !errors.As(err, &own) {
		answer := d.Status(r.Context(), r.Method+" "+r.URL.Path, err)
		own = failure{http.StatusInternalServerError, answer.Message()}
		if code, known := httpStatuses[answer.Code()]; known {
			own.code = code
		}
	}
	if own.code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	text, err := json.Marshal(map[string]string{"error": own.text})
	if err != nil {
		text = nil
	}
	d.send(w, own.code, "application/json", "", text)
}

// send writes an answer within WriteTimeout, compressed in one of encodings or, for an empty name, as it is.
func (d *door) send(w http.ResponseWriter, code int, contentType, encoding string, body []byte) {
	// A writer that knows no deadlines is a test's.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d.WriteTimeout))
	w.Header().Set("Content-Type", contentType)
	if encoding == "" {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(code)
		_, _ = w.Write(body) // a client that is gone is no error of ours
		return
	}
	w.Header().Set("Content-Encoding", encoding)
	w.WriteHeader(code)
	compressor := encodings[encoding].compress(w)
	if _, err := compressor.Write(body); err == nil {
		_ = compressor.Close()
	}
}
