package framework

import (
	"sync"

	"lightfast/photos/photokit/objc"
	"lightfast/photos/photokit/protocol"
)

// Request is one resource to read. Its functions are called on threads of the
// framework, and perhaps before Start returns.
type Request struct {
	Asset    string
	Resource protocol.Resource // as it was listed
	File     string            // to write, which must not exist; "" pushes to Data

	// Data takes bytes that are valid until it returns. It may block for as
	// long as it likes: it is called by the loop that reads the original's
	// file, so nothing is queued meanwhile.
	Data     func([]byte)
	Progress func(fraction float64)
	Done     func(protocol.Chain) // once, unless the framework never calls back
}

// Start begins a request. An error means that Done is not called. The function
// returned asks the framework to stop; it is nil where that cannot be asked.
func (f *Framework) Start(q Request) (cancel func(), err protocol.Chain) {
	objc.Pool(func() { cancel, err = f.start(q) })
	return cancel, err
}

func (f *Framework) start(q Request) (cancel func(), err protocol.Chain) {
	list, err := f.resources(q.Asset)
	if err != nil {
		return nil, err
	}
	i := q.Resource.Index
	if i < 0 || i >= len(list) {
		return nil, protocol.Fault(protocol.Changed, "the asset has other resources now")
	}
	if now := f.describe(i, list[i]); now.Type != q.Resource.Type || now.Name != q.Resource.Name {
		return nil, protocol.Fault(protocol.Changed, "the asset has other resources now")
	}
	resource, options := list[i], objc.New("PHAssetResourceRequestOptions")
	resource.Send("retain")
	options.Send("setNetworkAccessAllowed:", 1)

	progress := f.handlers.add(f.progress, q.Progress)
	options.Send("setProgressHandler:", progress)
	data := uintptr(0)
	if q.File == "" {
		data = f.handlers.add(f.data, q.Data)
	}
	var once sync.Once
	release := func() {
		f.handlers.remove(progress, data)
		resource.Send("release")
		options.Send("release")
	}
	done := f.handlers.add(f.done, func(err protocol.Chain) {
		once.Do(func() {
			release()
			q.Done(err)
		})
	})
	manager := objc.Class("PHAssetResourceManager").Get("defaultManager")
	if q.File != "" {
		url := objc.Class("NSURL").Send("fileURLWithPath:", uintptr(objc.String(q.File)))
		manager.Send("writeDataForAssetResource:toFile:options:completionHandler:", uintptr(resource), url, uintptr(options), done)
		return nil, nil
	}
	id := int32(manager.Send("requestDataForAssetResource:options:dataReceivedHandler:completionHandler:", uintptr(resource), uintptr(options), data, done))
	if id == 0 { // PHInvalidAssetResourceDataRequestID
		started := true
		once.Do(func() {
			started = false
			release()
		})
		if !started {
			return nil, protocol.Fault(protocol.NotStarted, "the framework refused the request")
		}
	}
	return func() {
		objc.Pool(func() { manager.Send("cancelDataRequest:", uintptr(id)) })
	}, nil
}

// handlers finds the function that a block stands for.
type handlers struct {
	mu sync.Mutex // guards m
	m  map[uintptr]any
}

func (h *handlers) add(s objc.Signature, f any) uintptr {
	block := s.Block()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m == nil {
		h.m = map[uintptr]any{}
	}
	h.m[block] = f
	return block
}

func (h *handlers) remove(blocks ...uintptr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range blocks {
		delete(h.m, b)
	}
}

// handler is the function of a block, which is none once its request is over.
func handler[F any](h *handlers, block uintptr) (F, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, ok := h.m[block].(F)
	return f, ok
}

// signatures makes the four types of blocks.
func (f *Framework) signatures() (err error) {
	for _, s := range []struct {
		to       *objc.Signature
		call     any
		encoding string
	}{
		{&f.data, func(block, data uintptr) uintptr {
			if push, ok := handler[func([]byte)](&f.handlers, block); ok {
				objc.Pool(func() { push(objc.Bytes(objc.ID(data).Send("bytes"), objc.ID(data).Send("length"))) })
			}
			return 0
		}, "v@?@"},
		{&f.done, func(block, nserror uintptr) uintptr {
			if done, ok := handler[func(protocol.Chain)](&f.handlers, block); ok {
				f.handlers.remove(block)
				done(chain(objc.ID(nserror)))
			}
			return 0
		}, "v@?@"},
		{&f.progress, func(block uintptr, fraction float64) uintptr {
			if progress, ok := handler[func(float64)](&f.handlers, block); ok {
				progress(fraction)
			}
			return 0
		}, "v@?d"},
		{&f.answer, func(block, status uintptr) uintptr {
			if done, ok := handler[func(int)](&f.handlers, block); ok {
				f.handlers.remove(block)
				done(int(status))
			}
			return 0
		}, "v@?q"},
	} {
		if *s.to, err = objc.NewSignature(s.call, s.encoding); err != nil {
			return err
		}
	}
	return nil
}
