// Rows brought to zero mean and unit mean square, norms fused with the activation behind them, and their derivatives.
//
// A row is read from memory once for its moments and once for the result, see rows.h. Forward 6 flops a number and an
// exponential for S0, at most 8 bytes read and 4 written in float; backward 8 to 20 flops, at most 24 read and 8 written:
// memory is the limit. Rows of several channels are groups: with `members` channels a row, each has n / members numbers.
#include "nn/rows.h"

// What T(mean) lost of a mean, in units of 1 / factor: the mean of a row enters results with all its digits.
template <typename T>
SCI_DEVICE T rest_of(const double mean, const T factor) {
    return T(mean - double(T(mean))) * factor;
}

// unit = (x - mean) / sqrt(mean((x - mean)^2) + eps) in every row, and the inverse root; mean = 0 unless CENTERED.
// Instances: <float|double, false|true>
template <typename T, bool CENTERED>
SCI_KERNEL standardize(SCI_INDEX const T* __restrict__ x /*[rows, n]*/, T* __restrict__ unit /*[rows, n]*/,
                       T* __restrict__ inverse /*[rows]*/, const i64 rows, const i64 n, const double eps) {
    for (i64 chunk = blockIdx.x; chunk * ROWS < rows; chunk += gridDim.x) {
        SCI_FOR_ROW(r) {
            const i64 row = chunk * ROWS + r;
            if (row >= rows) break;
            const T* const from = x + row * n;
            T* const to = unit + row * n;
            const Moments found = moments_of<T, CENTERED>(from, n, eps);
            const T mean = T(found.mean), scale = inverse_root<T>(found, eps), rest = rest_of(found.mean, scale);
            for_each(0, n, [=](const i64 k) { to[k] = (from[k] - mean) * scale - rest; });
            inverse[row] = scale;  // every lane writes the same number
        }
    }
}

// dx = (dout - mean(dout) - unit mean(dout unit)) inverse in every row; without mean(dout) unless CENTERED.
// Instances: <float|double, false|true>
template <typename T, bool CENTERED>
SCI_KERNEL standardize_vjp(SCI_INDEX const T* __restrict__ dout /*[rows, n]*/, const T* __restrict__ unit /*[rows, n]*/,
                           const T* __restrict__ inverse /*[rows]*/, T* __restrict__ dx /*[rows, n]*/, const i64 rows,
                           const i64 n) {
    for (i64 chunk = blockIdx.x; chunk * ROWS < rows; chunk += gridDim.x) {
        SCI_FOR_ROW(r) {
            const i64 row = chunk * ROWS + r;
            if (row >= rows) break;
            const T *const d = dout + row * n, *const u = unit + row * n;
            T* const to = dx + row * n;
            const T mean = CENTERED ? mean_of<T>(n, [=](const i64 k) { return d[k]; }) : T(0);
            const T along = mean_of<T>(n, [=](const i64 k) { return d[k] * u[k]; });
            const T scale = inverse[row];
            for_each(0, n, [=](const i64 k) { to[k] = (d[k] - mean - u[k] * along) * scale; });
        }
    }
}

// Mean and mean square about it of every row.
// Instances: <float|double>
template <typename T>
SCI_KERNEL row_moments(SCI_INDEX const T* __restrict__ x /*[rows, n]*/, double* __restrict__ mean /*[rows]*/,
                       double* __restrict__ square /*[rows]*/, const i64 rows, const i64 n) {
    for (i64 chunk = blockIdx.x; chunk * ROWS < rows; chunk += gridDim.x) {
        SCI_FOR_ROW(r) {
            const i64 row = chunk * ROWS + r;
            if (row >= rows) break;
            const Moments found = moments_of<T, true>(x + row * n, n, 0);
            mean[row] = found.mean;
            square[row] = found.square / found.scale / found.scale;
        }
    }
}

// y = a if a > 0, else slope a, for a = weight (x - mean) / sqrt(var + eps) + bias (+ added where ADDED).
// Instances: <float|double, false|true>
template <typename T, bool ADDED>
SCI_KERNEL norm_relu(SCI_INDEX const T* __restrict__ x /*[rows, n]*/, const T* __restrict__ added /*[others, m]*/,
                     const T* __restrict__ weight /*[channels]*/, const T* __restrict__ bias /*[channels]*/,
                     T* __restrict__ y /*[rows, n]*/, double* __restrict__ mean /*[rows]*/,
                     T* __restrict__ inverse /*[rows]*/, const i64 rows, const i64 n, const i64 channels,
                     const i64 members, const double slope, const double eps) {
    for (i64 chunk = blockIdx.x; chunk * ROWS < rows; chunk += gridDim.x) {
        SCI_FOR_ROW(r) {
            const i64 row = chunk * ROWS + r, first = row * members % channels, length = n / members;
            if (row >= rows) break;
            const Moments found = moments_of<T, true>(x + row * n, n, eps);
            const T center = T(found.mean), scale = inverse_root<T>(found, eps), leak = T(slope);
            for (i64 c = 0; c < members; ++c) {
                const i64 at = row * n + c * length;
                const T *const from = x + at, *const more = added + (ADDED ? at : 0);
                T* const to = y + at;
                const T factor = weight[first + c] * scale, shift = bias[first + c] - rest_of(found.mean, factor);
                for_each(0, length, [=](const i64 k) {
                    const T value = (from[k] - center) * factor + shift + (ADDED ? more[k] : T(0));
                    to[k] = value > 0 ? value : leak * value;
                });
            }
            mean[row] = found.mean;
            inverse[row] = scale;
        }
    }
}

// The derivative of norm_relu: dx, dadded where ADDED, and for each row and member of it the sums for weight and bias.
// Instances: <float|double, false|true>
template <typename T, bool ADDED>
SCI_KERNEL norm_relu_vjp(SCI_INDEX const T* __restrict__ dout /*[rows, n]*/, const T* __restrict__ x /*[rows, n]*/,
                         const T* __restrict__ y /*[rows, n]*/, const T* __restrict__ weight /*[channels]*/,
                         const double* __restrict__ mean /*[rows]*/, const T* __restrict__ inverse /*[rows]*/,
                         T* __restrict__ dx /*[rows, n]*/, T* __restrict__ dadded /*[others, m]*/,
                         T* __restrict__ dweight /*[rows, members]*/, T* __restrict__ dbias /*[rows, members]*/,
                         const i64 rows, const i64 n, const i64 channels, const i64 members, const double slope) {
    for (i64 chunk = blockIdx.x; chunk * ROWS < rows; chunk += gridDim.x) {
        SCI_FOR_ROW(r) {
            const i64 row = chunk * ROWS + r, first = row * members % channels, length = n / members;
            if (row >= rows) break;
            const T center = T(mean[row]), scale = inverse[row], rest = rest_of(mean[row], scale), leak = T(slope);
            double shift = 0, along = 0;
            for (i64 c = 0; c < members; ++c) {
                const i64 at = row * n + c * length;
                const T *const d = dout + at, *const from = x + at, *const out = y + at;
                double sums[2] = {0, 0};
                add_sums<T, 2>(length, sums, [=](const i64 k, T& a, T& b, T&, T&, T&) {
                    const T slanted = out[k] > 0 ? d[k] : leak * d[k];
                    a += slanted;
                    b += slanted * ((from[k] - center) * scale - rest);
                });
                dbias[row * members + c] = T(sums[0]);
                dweight[row * members + c] = T(sums[1]);
                shift += double(weight[first + c]) * sums[0];
                along += double(weight[first + c]) * sums[1];
            }
            const T less = T(shift / double(n)), tilt = T(along / double(n));
            for (i64 c = 0; c < members; ++c) {
                const i64 at = row * n + c * length;
                const T *const d = dout + at, *const from = x + at, *const out = y + at;
                T *const to = dx + at, *const more = dadded + (ADDED ? at : 0);
                const T factor = weight[first + c];
                for_each(0, length, [=](const i64 k) {
                    const T slanted = out[k] > 0 ? d[k] : leak * d[k];
                    if (ADDED) more[k] = slanted;
                    to[k] = (slanted * factor - less - ((from[k] - center) * scale - rest) * tilt) * scale;
                });
            }
        }
    }
}

// EvoNorm-S0: y = weight x sigmoid(gate x) / sqrt(var + eps) + bias, the variance that of the row.
// Instances: <float|double>
template <typename T>
SCI_KERNEL evonorm_s0(SCI_INDEX const T* __restrict__ x /*[rows, n]*/, const T* __restrict__ gate /*[channels]*/,
                      const T* __restrict__ weight /*[channels]*/, const T* __restrict__ bias /*[channels]*/,
                      T* __restrict__ y /*[rows, n]*/, double* __restrict__ mean /*[rows]*/,
                      T* __restrict__ inverse /*[rows]*/, const i64 rows, const i64 n, const i64 channels,
                      const i64 members, const double eps) {
    for (i64 chunk = blockIdx.x; chunk * ROWS < rows; chunk += gridDim.x) {
        SCI_FOR_ROW(r) {
            const i64 row = chunk * ROWS + r, first = row * members % channels, length = n / members;
            if (row >= rows) break;
            const Moments found = moments_of<T, true>(x + row * n, n, eps);
            const T scale = inverse_root<T>(found, eps);
            for (i64 c = 0; c < members; ++c) {
                const T* const from = x + row * n + c * length;
                T* const to = y + row * n + c * length;
                const T v = gate[first + c], factor = weight[first + c] * scale, shift = bias[first + c];
                for_each(0, length, [=](const i64 k) { to[k] = from[k] * sigmoid_of(v * from[k]) * factor + shift; });
            }
            mean[row] = found.mean;
            inverse[row] = scale;
        }
    }
}

// The derivative of evonorm_s0: dx, and for each row and member of it the sums for gate, weight and bias.
// Instances: <float|double>
template <typename T>
SCI_KERNEL evonorm_s0_vjp(SCI_INDEX const T* __restrict__ dout /*[rows, n]*/, const T* __restrict__ x /*[rows, n]*/,
                          const T* __restrict__ gate /*[channels]*/, const T* __restrict__ weight /*[channels]*/,
                          const double* __restrict__ mean /*[rows]*/, const T* __restrict__ inverse /*[rows]*/,
                          T* __restrict__ dx /*[rows, n]*/, T* __restrict__ dgate /*[rows, members]*/,
                          T* __restrict__ dweight /*[rows, members]*/, T* __restrict__ dbias /*[rows, members]*/,
                          const i64 rows, const i64 n, const i64 channels, const i64 members) {
    for (i64 chunk = blockIdx.x; chunk * ROWS < rows; chunk += gridDim.x) {
        SCI_FOR_ROW(r) {
            const i64 row = chunk * ROWS + r, first = row * members % channels, length = n / members;
            if (row >= rows) break;
            const T center = T(mean[row]), scale = inverse[row], rest = rest_of(mean[row], scale);
            double along = 0;
            for (i64 c = 0; c < members; ++c) {
                const T *const d = dout + row * n + c * length, *const from = x + row * n + c * length;
                const T v = gate[first + c];
                double sums[3] = {0, 0, 0};
                add_sums<T, 3>(length, sums, [=](const i64 k, T& a, T& b, T& e, T&, T&) {
                    const T open = sigmoid_of(v * from[k]), gated = d[k] * (from[k] * scale) * open;
                    a += d[k];
                    b += gated;
                    e += gated * (from[k] * sigmoid_of(-v * from[k]));
                });
                dbias[row * members + c] = T(sums[0]);
                dweight[row * members + c] = T(sums[1]);
                dgate[row * members + c] = T(sums[2] * double(weight[first + c]));
                along += double(weight[first + c]) * sums[1];
            }
            const T tilt = T(along / double(n));
            for (i64 c = 0; c < members; ++c) {
                const T *const d = dout + row * n + c * length, *const from = x + row * n + c * length;
                T* const to = dx + row * n + c * length;
                const T v = gate[first + c], factor = weight[first + c];
                for_each(0, length, [=](const i64 k) {
                    const T open = sigmoid_of(v * from[k]), slope = open * (1 + v * from[k] * (1 - open));
                    to[k] = (d[k] * factor * slope - ((from[k] - center) * scale - rest) * tilt) * scale;
                });
            }
        }
    }
}

// The larger, NaN where either is.
template <typename T>
SCI_DEVICE T largest_of(const T left, const T right) {
    return right <= left || left != left ? left : right;
}

// EvoNorm-B0: y = weight x / max(batch, gate x + own) + bias, with the roots of the variances of channel and row.
// Instances: <float|double>
template <typename T>
SCI_KERNEL evonorm_b0(SCI_INDEX const T* __restrict__ x /*[rows, n]*/, const T* __restrict__ batch /*[channels]*/,
                      const T* __restrict__ own /*[rows]*/, const T* __restrict__ gate /*[channels]*/,
                      const T* __restrict__ weight /*[channels]*/, const T* __restrict__ bias /*[channels]*/,
                      T* __restrict__ y /*[rows, n]*/, const i64 rows, const i64 n, const i64 channels) {
    for (i64 chunk = blockIdx.x; chunk * ROWS < rows; chunk += gridDim.x) {
        SCI_FOR_ROW(r) {
            const i64 row = chunk * ROWS + r, c = row % channels;
            if (row >= rows) break;
            const T* const from = x + row * n;
            T* const to = y + row * n;
            const T left = batch[c], root = own[row], v = gate[c], factor = weight[c], shift = bias[c];
            for_each(0, n, [=](const i64 k) { to[k] = from[k] / largest_of(left, v * from[k] + root) * factor + shift; });
        }
    }
}

// Five sums of every row for the derivative of evonorm_b0: of dout; of dout x / max; of -dout x / max^2 where the root of
// the channel is the larger, and where it is not; and of the last times x.
// Instances: <float|double>
template <typename T>
SCI_KERNEL evonorm_b0_sums(SCI_INDEX const T* __restrict__ dout /*[rows, n]*/, const T* __restrict__ x /*[rows, n]*/,
                           const T* __restrict__ batch /*[channels]*/, const T* __restrict__ own /*[rows]*/,
                           const T* __restrict__ gate /*[channels]*/, double* __restrict__ sums /*[rows, 5]*/,
                           const i64 rows, const i64 n, const i64 channels) {
    for (i64 chunk = blockIdx.x; chunk * ROWS < rows; chunk += gridDim.x) {
        SCI_FOR_ROW(r) {
            const i64 row = chunk * ROWS + r, c = row % channels;
            if (row >= rows) break;
            const T *const d = dout + row * n, *const from = x + row * n;
            const T left = batch[c], root = own[row], v = gate[c];
            double found[5] = {0, 0, 0, 0, 0};
            add_sums<T, 5>(n, found, [=](const i64 k, T& plain, T& ratio, T& channel, T& single, T& gated) {
                const T right = v * from[k] + root, inverse = 1 / largest_of(left, right);
                const T quotient = d[k] * from[k] * inverse, fall = -quotient * inverse;
                plain += d[k];
                ratio += quotient;
                channel += right > left ? T(0) : fall;
                single += right > left ? fall : T(0);
                gated += right > left ? -quotient * (from[k] * inverse) : T(0);
            });
            for (i64 j = 0; j < 5; ++j) sums[5 * row + j] = found[j];  // every lane writes the same numbers
        }
    }
}

// dx = dout weight d(x / max)/dx + tilt (x - mean) / own + lift, where the last two are the derivative of the variances.
// Instances: <float|double>
template <typename T>
SCI_KERNEL evonorm_b0_vjp(SCI_INDEX const T* __restrict__ dout /*[rows, n]*/, const T* __restrict__ x /*[rows, n]*/,
                          const T* __restrict__ batch /*[channels]*/, const T* __restrict__ own /*[rows]*/,
                          const T* __restrict__ gate /*[channels]*/, const T* __restrict__ weight /*[channels]*/,
                          const T* __restrict__ mean /*[rows]*/, const T* __restrict__ tilt /*[rows]*/,
                          const T* __restrict__ lift /*[rows]*/, T* __restrict__ dx /*[rows, n]*/, const i64 rows,
                          const i64 n, const i64 channels) {
    for (i64 chunk = blockIdx.x; chunk * ROWS < rows; chunk += gridDim.x) {
        SCI_FOR_ROW(r) {
            const i64 row = chunk * ROWS + r, c = row % channels;
            if (row >= rows) break;
            const T *const d = dout + row * n, *const from = x + row * n;
            T* const to = dx + row * n;
            const T left = batch[c], root = own[row], v = gate[c], factor = weight[c];
            const T center = mean[row], slope = tilt[row], shift = lift[row], scale = 1 / root;
            for_each(0, n, [=](const i64 k) {
                const T right = v * from[k] + root, inverse = 1 / largest_of(left, right);
                const T direct = right > left ? root * inverse * inverse : inverse;
                to[k] = d[k] * factor * direct + (from[k] - center) * scale * slope + shift;
            });
        }
    }
}
