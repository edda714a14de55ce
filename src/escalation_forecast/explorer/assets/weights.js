// Importance weights of draws, smoothed, and weighted means: what update/weights.py does, number by number.
// Pareto-smoothed importance sampling: Vehtari et al. (2024); the fit of the tail: Zhang and Stephens (2009);
// effective sample size: Geyer's initial monotone sequence on split chains, as arviz_stats has both.

const HIGHEST_K = 0.7, LEAST_ESS = 400, LEAST_SHARE = 0.25, GOOD_K = 0.5;
const EPSILON = 2 ** -52;

const sum = (x) => { let s = 0; for (const v of x) s += v; return s; };
const mean = (x) => sum(x) / x.length;
const largest = (x) => { let m = -Infinity; for (const v of x) if (v > m) m = v; return m; };
const spread = (x) => largest(x) + largest(Float64Array.from(x, (v) => -v));
const deviation = (x) => { const m = mean(x); return Math.sqrt(mean(x.map((v) => (v - m) ** 2))); };

function logGamma(x) {  // Lanczos, g = 7
  const c = [0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
    -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6,
    1.5056327351493116e-7];
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  let s = c[0];
  for (let i = 1; i < 9; i++) s += c[i] / (x + i - 1);
  const t = x + 6.5;
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(s);
}

const HALF_LOG_2PI = 0.5 * Math.log(2 * Math.PI);
const normal = (x, mu, sigma) => -0.5 * ((x - mu) / sigma) ** 2 - Math.log(sigma) - HALF_LOG_2PI;
// For numbers of a prior, its log density at a value.
const LOG_DENSITIES = {
  Normal: (p) => (x) => normal(x, p.mu, p.sigma),
  LogNormal: (p) => (x) => (x > 0 ? normal(Math.log(x), p.mu, p.sigma) - Math.log(x) : -Infinity),
  HalfNormal: (p) => (x) => (x >= 0 ? Math.LN2 + normal(x, 0, p.sigma) : -Infinity),
  StudentT: (p) => {
    const at = logGamma((p.nu + 1) / 2) - logGamma(p.nu / 2) - 0.5 * Math.log(p.nu * Math.PI) - Math.log(p.sigma);
    return (x) => at - ((p.nu + 1) / 2) * Math.log1p(((x - p.mu) / p.sigma) ** 2 / p.nu);
  },
  Beta: (p) => {
    const at = logGamma(p.alpha + p.beta) - logGamma(p.alpha) - logGamma(p.beta);
    return (x) => (x > 0 && x < 1 ? at + (p.alpha - 1) * Math.log(x) + (p.beta - 1) * Math.log1p(-x) : -Infinity);
  },
  Gamma: (p) => {
    const at = p.alpha * Math.log(p.beta) - logGamma(p.alpha);
    return (x) => (x > 0 ? at + (p.alpha - 1) * Math.log(x) - p.beta * x : -Infinity);
  },
  Exponential: (p) => (x) => (x >= 0 ? Math.log(p.lam) - p.lam * x : -Infinity),
};

// Effective sample size of the mean of draws, chain by chain; all draws where it cannot be estimated.
function effective(values, [chains, length]) {
  const n = values.length;
  if (length < 4 || spread(values) < 1e-15) return n;
  const half = Math.floor(length / 2), parts = [];
  for (let c = 0; c < chains; c++) {
    const first = c * length, end = first + length;
    parts.push(values.slice(first, first + half), values.slice(end - half, end));
  }
  const means = parts.map(mean), centred = parts.map((part, i) => part.map((v) => v - means[i]));
  const covariance = (lag) => {
    let s = 0;
    for (const part of centred) for (let t = lag; t < half; t++) s += part[t] * part[t - lag];
    return s / half / parts.length;
  };
  const within = (covariance(0) * half) / (half - 1), all = mean(means);
  const between = sum(means.map((m) => (m - all) ** 2)) / (parts.length - 1);
  const total = (within * (half - 1)) / half + between;
  const rho = new Float64Array(half);
  let even = 1, odd = 1 - (within - covariance(1)) / total, t = 1;
  rho[0] = even;
  rho[1] = odd;
  while (t < half - 3 && even + odd > 0) {
    even = 1 - (within - covariance(t + 1)) / total;
    odd = 1 - (within - covariance(t + 2)) / total;
    if (even + odd >= 0) [rho[t + 1], rho[t + 2]] = [even, odd];
    t += 2;
  }
  const last = t - 2;
  if (even > 0) rho[last + 1] = even;
  for (t = 1; t <= last - 2; t += 2) {
    if (rho[t + 1] + rho[t + 2] > rho[t - 1] + rho[t]) rho[t + 1] = rho[t + 2] = (rho[t - 1] + rho[t]) / 2;
  }
  const size = parts.length * half;
  const tau = -1 + 2 * sum(rho.subarray(0, last + 1)) + (rho[last + 1] || 0);
  const found = size / Math.max(tau, 1 / Math.log10(size));
  return Number.isFinite(found) && found > 0 ? found : n;
}

// Shape and scale of a generalised Pareto law for sorted positive numbers; NaN where they are none.
function paretoFit(x) {
  const n = x.length, m = 30 + Math.floor(Math.sqrt(n)), quarter = x[Math.floor(n / 4 + 0.5) - 1];
  if (quarter <= x[0]) return [NaN, NaN];
  const shape = (b) => { let s = 0; for (const v of x) s += Math.log1p(-b * v); return s / n; };
  const at = Array.from({ length: m }, (_, i) => (1 - Math.sqrt(m / (i + 0.5))) / (3 * quarter) + 1 / x[n - 1]);
  const likelihood = at.map((b) => { const k = shape(b); return n * (Math.log(-b / k) - k - 1); });
  const top = largest(likelihood);
  let share = likelihood.map((v) => Math.exp(v - top));
  const whole = sum(share);
  share = share.map((v) => (v / whole >= 10 * EPSILON ? v / whole : 0));
  const kept = sum(share), b = sum(at.map((v, i) => (share[i] > 0 ? (v * share[i]) / kept : 0)));
  const k = shape(b);
  if (Number.isNaN(k)) return [Infinity, NaN];
  return [(n * k + 5) / (n + 10), -k / b];
}

// Log ratios with their largest smoothed, as logs of weights up to a constant; and the shape of the tail.
function smoothedTail(logs, relative) {
  const n = logs.length, top = largest(logs), out = logs.map((v) => v - top);
  const tail = Math.floor(n * relative > 225 ? 3 * Math.sqrt(n / relative) : n / 5);
  const order = Array.from(out.keys()).sort((i, j) => out[i] - out[j]);
  const places = order.slice(n - tail), cut = Math.exp(out[order[n - tail - 1]]), highest = out[order[n - 1]];
  const [k, scale] = paretoFit(places.map((i) => Math.exp(out[i]) - cut));
  if (Number.isFinite(k) && scale > 0) {
    places.forEach((place, i) => {
      const q = -Math.log1p(-(i + 0.5) / tail);
      out[place] = Math.min(highest, Math.log(cut + (k === 0 ? scale * q : (scale * Math.expm1(k * q)) / k)));
    });
  }
  return [out, k];
}

function smooth(logRatio, shape) {
  const n = logRatio.length, top = largest(logRatio), even = new Float64Array(n).fill(1 / n);
  if (!Number.isFinite(top)) return { values: even, k: Infinity, ess: 0 };
  if (spread(logRatio) === 0) return { values: even, k: -Infinity, ess: n };
  // Chains remember, so that the tail has fewer independent draws than draws.
  const relative = Math.min(1, effective(logRatio.map((v) => Math.exp(v - top)), shape) / n);
  const [logs, k] = smoothedTail(logRatio, relative);
  const highest = largest(logs), raw = logs.map((v) => Math.exp(v - highest)), total = sum(raw);
  const values = raw.map((v) => v / total);
  return { values, k, ess: relative / sum(values.map((w) => w * w)) };
}

// Weighted mean, its Monte Carlo standard error, and that of its distance from the mean without weights.
function weightedMean(values, weights, shape) {
  const n = values.length, value = sum(values.map((v, i) => v * weights[i])), plain = mean(values);
  if (spread(values) === 0) return { value, plain, mcse: 3 * sum(weights.map((w) => w * w)), moved: 0 };
  const terms = values.map((v, i) => n * weights[i] * (v - value));
  const apart = terms.map((v, i) => v - (values[i] - plain));
  const error = (x) => (spread(x) === 0 ? 0 : deviation(x) / Math.sqrt(effective(x, shape)));
  return { value, plain, mcse: deviation(terms) / Math.sqrt(effective(terms, shape)), moved: error(apart) };
}

// Whether weights can be relied on: a word, and why not.
function judged({ values, k }) {
  const n = values.length, left = 1 / sum(values.map((w) => w * w));
  const limit = Math.min(HIGHEST_K, 1 - 1 / Math.log10(n)), enough = Math.min(LEAST_ESS, LEAST_SHARE * n);
  const why = [];
  if (!(k <= limit)) {
    const size = Number.isFinite(k) ? k.toFixed(2) : "not finite";
    why.push(`k is ${size}, above ${limit.toFixed(2)}: a few draws carry the answer`);
  }
  if (!(left >= enough)) why.push(`the weights leave ${left.toFixed(0)} draws, fewer than ${enough.toFixed(0)}`);
  return { left, limit, why, word: why.length ? "fit again" : k <= GOOD_K ? "good" : "doubtful" };
}

// Density at x (point,) of weighted draws by a normal kernel on the scale on which the support has no bounds.
function weightedDensity(draws, weights, x, [low, high]) {
  const below = (v) => (high === null ? 1 : high - v);
  const free = low === null ? (v) => v : (v) => Math.log(v - low) - Math.log(below(v));
  const slope = low === null ? () => 1 : (v) => 1 / (v - low) + (high === null ? 0 : 1 / below(v));
  const at = draws.map(free), middle = sum(at.map((v, i) => v * weights[i]));
  const sd = Math.sqrt(sum(at.map((v, i) => weights[i] * (v - middle) ** 2)));
  const width = 0.9 * sd * sum(weights.map((w) => w * w)) ** 0.2;  // Silverman (1986)
  return x.map((v) => {
    if ((low !== null && v <= low) || (high !== null && v >= high) || !(width > 0)) return 0;
    const here = free(v);
    let s = 0;
    for (let i = 0; i < at.length; i++) s += weights[i] * Math.exp(-0.5 * ((here - at[i]) / width) ** 2);
    return (s * slope(v)) / (width * Math.sqrt(2 * Math.PI));
  });
}
