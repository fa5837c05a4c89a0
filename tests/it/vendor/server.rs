//! One server: its port, its connections, and what it makes of a request.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Method, Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use pas::domain::usage::TokenUsage;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::{Answer, Kind};
use super::body::{Step, Steps, Watch, length, steps};
use super::error::Refusal;
use super::fault::{At, Cut, FOREVER, Fault, SaidAnswer};
use super::model::Model;
use super::play::{Play, PlayCue, PlayStage, ServedTurn};
use super::seen::{Heard, Seen};
use super::{Vendor, anthropic, gemini, grok, ollama, openai};

/// A server of one vendor's protocol on a free loopback port; ends when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    open: Mutex<Option<Open>>,
}

/// What all connections share.
struct Shared {
    vendor: Vendor,
    seen: Arc<Mutex<Seen>>,
    script: Mutex<VecDeque<Fault>>,
    always: Mutex<Fault>,
    stage: Arc<PlayStage>,
    model: Mutex<Model>,
}

/// An open port.
struct Open {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Opens a port.
    pub(crate) async fn start(vendor: Vendor) -> Self {
        Self::start_on(vendor, Arc::default()).await
    }

    /// Opens a port of a server that gives the plays of a stage.
    pub(super) async fn start_on(vendor: Vendor, stage: Arc<PlayStage>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let shared = Arc::new(Shared {
            vendor,
            seen: Arc::default(),
            script: Mutex::default(),
            always: Mutex::new(Fault::None),
            stage,
            model: Mutex::new(Model::new(vendor)),
        });
        let address = listener.local_addr().expect("its address");
        let open = Mutex::new(Some(Open::new(listener, &shared)));
        Self { address, shared, open }
    }

    pub(crate) fn vendor(&self) -> Vendor {
        self.shared.vendor
    }

    /// The base URL, in the form the vendor's clients take.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.vendor().base_path())
    }

    /// What to do for the next calls of a model, one each; further ones are answered well. Requests that
    /// are no calls (lists of models, counts of tokens) take none of them.
    pub(crate) fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.script.lock().extend(faults);
    }

    /// What to do for every request, also those that are no calls, while nothing is scripted.
    pub(crate) fn always(&self, fault: Fault) {
        *self.shared.always.lock() = fault;
    }

    /// Whether every scripted fault was used.
    pub(crate) fn script_is_done(&self) -> bool {
        self.shared.script.lock().is_empty()
    }

    /// Adds a play; further requests that it wants are its own.
    pub(crate) fn perform(&self, play: &Play) {
        self.shared.stage.perform(play);
    }

    /// What was wrong with requests for plays; the servers of one [`super::Vendors`] have it in common.
    pub(crate) fn play_faults(&self) -> Vec<String> {
        self.shared.stage.faults()
    }

    /// The answers of plays that went out, oldest first; in common as [`Self::play_faults`].
    pub(crate) fn turns_served(&self) -> Vec<ServedTurn> {
        self.shared.stage.served()
    }

    /// Makes every answer from now on report and bill this; `None`: what follows from the request.
    pub(crate) fn bill(&self, usage: Option<TokenUsage>) {
        self.shared.model.lock().fixed = usage;
    }

    /// Offers one more model with so large a context window.
    pub(crate) fn offer(&self, model: &str, window: u64) {
        self.shared.model.lock().windows.push((model.to_owned(), window));
    }

    /// Closes the port and all connections: clients are refused until [`Self::up`].
    pub(crate) async fn down(&self) {
        let open = self.open.lock().take();
        if let Some(open) = open {
            open.stop.cancel();
            open.tasks.close();
            open.tasks.wait().await;
        }
    }

    /// Opens the same port again.
    pub(crate) async fn up(&self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is still free");
        *self.open.lock() = Some(Open::new(listener, &self.shared));
    }

    /// The last requests, oldest first.
    pub(crate) fn seen(&self) -> Vec<Heard> {
        self.shared.seen.lock().last()
    }

    /// Requests of all kinds.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.seen.lock().requests
    }

    /// Calls of a model, whatever became of them.
    pub(crate) fn calls(&self) -> u64 {
        self.shared.seen.lock().calls
    }

    /// Answers that the client did not wait for to the end.
    pub(crate) fn left_early(&self) -> u64 {
        self.shared.seen.lock().left_early
    }

    /// Connections that were accepted.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.seen.lock().connections
    }

    /// What the vendor would charge for: every answer that was begun, also one that was cut.
    pub(crate) fn billed(&self) -> TokenUsage {
        self.shared.seen.lock().billed
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(open) = self.open.get_mut() {
            open.stop.cancel();
        }
    }
}

impl Open {
    fn new(listener: TcpListener, shared: &Arc<Shared>) -> Self {
        let open = Self { stop: CancellationToken::new(), tasks: TaskTracker::new() };
        let (shared, stop, tasks) = (Arc::clone(shared), open.stop.clone(), open.tasks.clone());
        open.tasks.spawn(async move {
            while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
                // As the real ones: a stream's small events must not wait for the client's ACKs.
                let _ = stream.set_nodelay(true);
                shared.seen.lock().connections += 1;
                let (shared, stop) = (Arc::clone(&shared), stop.clone());
                tasks.spawn(async move { stop.run_until_cancelled(connection(stream, shared)).await });
            }
        });
        open
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let reset = Arc::new(AtomicBool::new(false));
    let line = Line { stream, reset: Arc::clone(&reset) };
    let service = service_fn(move |request| {
        let (shared, reset) = (Arc::clone(&shared), Arc::clone(&reset));
        async move { respond(request, &shared, reset).await }
    });
    // An error is a cut, the client's or a scripted one.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(line), service).await;
}

async fn respond(
    request: Request<Incoming>,
    shared: &Shared,
    reset: Arc<AtomicBool>,
) -> io::Result<Response<Steps>> {
    let mut watch = Watch { seen: Arc::clone(&shared.seen), done: false };
    let heard = hear(request).await?;
    let (fault, cue) = shared.take(&heard);
    match &fault {
        Fault::StallBeforeHeaders(time) => tokio::time::sleep(*time).await,
        Fault::Cut(At::BeforeHeaders, how) => {
            watch.done = true;
            reset.store(*how == Cut::Reset, Ordering::Relaxed);
            return Err(io::Error::other("cut, as scripted"));
        }
        _ => {}
    }
    match fault {
        Fault::Say(said) => {
            watch.done = true;
            return Ok(word_for_word(said, None, watch, reset));
        }
        Fault::SayAndWait(said) => return Ok(word_for_word(said, Some(FOREVER), watch, reset)),
        _ => {}
    }
    let answer = shared.answer(&heard, &fault, cue.as_ref());
    let steps = steps(&answer, &fault);
    watch.done = steps.is_empty();
    let mut response =
        Response::builder().status(answer.status).header(header::CONTENT_TYPE, answer.kind.content_type());
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    if !answer.kind.is_stream() && !matches!(fault, Fault::EveryByte | Fault::Split(_)) {
        response = response.header(header::CONTENT_LENGTH, length(&answer, &steps));
    }
    Ok(response.body(Steps { steps, waiting: None, watch, reset }).expect("a response from known parts"))
}

/// An answer that a test has written.
fn word_for_word(
    said: SaidAnswer,
    wait: Option<Duration>,
    watch: Watch,
    reset: Arc<AtomicBool>,
) -> Response<Steps> {
    let mut response =
        Response::builder().status(said.status).header(header::CONTENT_TYPE, said.content_type);
    for (name, value) in said.headers {
        response = response.header(name, value);
    }
    let steps = std::iter::once(Step::Send(said.body.into())).chain(wait.map(Step::Wait)).collect();
    response.body(Steps { steps, waiting: None, watch, reset }).expect("a response from known parts")
}

async fn hear(request: Request<Incoming>) -> io::Result<Heard> {
    let (parts, body) = request.into_parts();
    let raw = body.collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(Heard {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: serde_json::from_slice(&raw).unwrap_or(Value::Null),
        raw,
    })
}

impl Shared {
    /// Counts the request and gives what is scripted for it, and the play's part in it.
    fn take(&self, heard: &Heard) -> (Fault, Option<PlayCue>) {
        let is_call = heard.method == Method::POST
            && [
                "/completions",
                "/responses",
                "/embeddings",
                "/messages",
                "enerateContent",
                "/chat",
                "/generate",
                "/embed",
            ]
            .iter()
            .any(|end| heard.path.ends_with(end));
        self.seen.lock().hear(heard, is_call);
        let next = if is_call { self.script.lock().pop_front() } else { None };
        let cue =
            if is_call && !heard.path.contains("mbed") { self.stage.cue(self.vendor, heard) } else { None };
        let own = || cue.as_ref().and_then(|cue| self.stage.next_fault(cue));
        let fault = next.or_else(own).unwrap_or_else(|| self.always.lock().clone());
        (fault, cue)
    }

    fn answer(&self, heard: &Heard, fault: &Fault, cue: Option<&PlayCue>) -> Answer {
        if let Fault::Html(status) = fault {
            let page = "<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>…</body></html>";
            let mut answer = Answer::with_status(*status, &Value::Null);
            (answer.kind, answer.frames) = (Kind::Html, vec![page.to_owned()]);
            return answer;
        }
        let (serve, refuse): (Serve, Refuse) = match self.vendor {
            Vendor::OpenAi => (openai::serve, openai::refuse),
            Vendor::Grok => (grok::serve, grok::refuse),
            Vendor::Anthropic => (anthropic::serve, anthropic::refuse),
            Vendor::Gemini => (gemini::serve, gemini::refuse),
            Vendor::Ollama => (ollama::serve, ollama::refuse),
        };
        let mut model = self.model.lock();
        // Gemini tells of a filtered prompt in a good answer.
        let in_answer = self.vendor == Vendor::Gemini && *fault == Fault::PromptFiltered;
        model.line = cue.map(|cue| cue.line.clone());
        let served = match Refusal::of(fault).filter(|_| !in_answer) {
            Some(refusal) => Err(refusal),
            None => serve(heard, &mut model, fault),
        };
        match served {
            Ok((answer, used)) => {
                self.seen.lock().bill(&used);
                if let Some(cue) = cue {
                    self.stage.went_out(cue, fault);
                }
                answer
            }
            Err(refusal) => refuse(&refusal, heard),
        }
    }
}

type Serve = fn(&Heard, &mut Model, &Fault) -> Result<(Answer, TokenUsage), Refusal>;
type Refuse = fn(&Refusal, &Heard) -> Answer;

/// A TCP connection that ends with RST when told so.
struct Line {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
