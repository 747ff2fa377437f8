"""Objects as people write them: each convention once right and, with a planted fault, once wrong."""

import numpy as np
import pytest

from gradcheck.adapters.objects import adapt_object
from gradcheck.layer import BrokenContract


def worst(layer):
    """Compare every entry with a central difference; return the names that disagree, with the reason."""
    rng = np.random.default_rng(3)
    outputs, derivative = layer(layer.primals)
    weights = {name: np.ones(value.shape) for name, value in outputs.items()}
    if layer.cotangent:
        weights = {k: rng.uniform(0.5, 1.5, v.shape) * rng.choice((-1, 1), v.shape) for k, v in weights.items()}
    try:
        found = derivative(weights)
        gradients = {name: np.array(value, dtype=float) for name, value in found.items() if value is not None}
    except BrokenContract as broken:
        return {"*": broken.text}
    wrong = {}
    for name in layer.wrt:
        if name not in gradients:
            wrong[name] = "missing"
            continue
        numerical = np.zeros(layer.primals[name].shape)
        for index in np.ndindex(numerical.shape):
            ends = []
            for sign in (1, -1):
                moved = {key: value.copy() for key, value in layer.primals.items()}
                moved[name][index] += sign * 1e-5
                outputs, _ = layer(moved)
                ends.append(sum(float(np.sum(weights[key] * value)) for key, value in outputs.items()))
            numerical[index] = (ends[0] - ends[1]) / 2e-5
        if numerical.shape != gradients[name].shape:
            wrong[name] = f"shape {gradients[name].shape}"
        elif not np.allclose(numerical, gradients[name], rtol=1e-5, atol=1e-7):
            wrong[name] = "value"
    return wrong


RNG = np.random.default_rng(0)
X43, X45 = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 5))
Y41 = np.array([[0], [1], [1], [0]])
LABELS = np.array([0, 1, 1, 0])
IMAGES = RNG.normal(size=(2, 3, 5, 5))


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


class Dense:
    def __init__(self, n, m, fault=1.0):
        self.W, self.b = normal(n, m), np.zeros(m)
        self.X = self.dW = self.db = None
        self.fault = fault

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, dOut):
        self.dW = self.X.T @ dOut * self.fault
        self.db = dOut.sum(axis=0)
        return dOut @ self.W.T


class DenseWeightGrad:
    def __init__(self, fault=1.0):
        self.weight, self.bias = normal(3, 2), normal(1, 2)
        self.fault = fault

    def __call__(self, inputs):
        self.inputs = inputs
        return inputs @ self.weight + self.bias

    def backward(self, grad_output):
        self.weight_grad = self.inputs.T @ grad_output * self.fault
        self.bias_grad = grad_output.sum(axis=0, keepdims=True)
        return grad_output @ self.weight.T


class MyTorchLinear:
    def __init__(self, fault=1.0):
        self.W, self.b = normal(2, 3), normal(2, 1)
        self.fault = fault

    def forward(self, A):
        self.A, self.N = A, A.shape[0]
        self.Ones = np.ones((self.N, 1))
        return A @ self.W.T + self.Ones @ self.b.T

    def backward(self, dLdZ):
        self.dLdW = dLdZ.T @ self.A * self.fault
        self.dLdb = dLdZ.T @ self.Ones
        self.dLdA = dLdZ @ self.W
        return self.dLdA


class NnfsDense:
    """Neural networks from scratch: nothing is returned, everything is left in attributes."""

    def __init__(self, fault=1.0):
        self.weights, self.biases = normal(3, 2), np.zeros((1, 2))
        self.fault = fault

    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.dot(inputs, self.weights) + self.biases

    def backward(self, dvalues):
        self.dweights = np.dot(self.inputs.T, dvalues)
        self.dbiases = np.sum(dvalues, axis=0, keepdims=True)
        self.dinputs = np.dot(dvalues, self.weights.T) * self.fault


class Affine:
    """Deep learning from scratch: parallel lists, filled in place."""

    def __init__(self, fault=1.0):
        self.params = [normal(3, 2), normal(2)]
        self.grads = [np.zeros((3, 2)), np.zeros(2)]
        self.x = None
        self.fault = fault

    def forward(self, x):
        W, b = self.params
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, _ = self.params
        self.grads[0][...] = np.dot(self.x.T, dout) * self.fault
        self.grads[1][...] = np.sum(dout, axis=0)
        return np.dot(dout, W.T)


class DictLayer:
    def __init__(self, fault=1.0):
        self.params = {"w": normal(3, 2), "b": normal(2)}
        self.grads = {}
        self.fault = fault

    def forward(self, inputs):
        self.inputs = inputs
        return inputs @ self.params["w"] + self.params["b"]

    def backward(self, grad):
        self.grads["b"] = np.sum(grad, axis=0)
        self.grads["w"] = self.inputs.T @ grad * self.fault
        return grad @ self.params["w"].T


class GradsByDName(DictLayer):
    def __init__(self, fault=1.0):
        self.W, self.b, self.fault = normal(3, 2), normal(2), fault
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad):
        self.grads = {"dW": self.x.T @ grad * self.fault, "db": grad.sum(0)}
        return grad @ self.W.T


class Parameter:
    def __init__(self, data):
        self.data = data
        self.grad = None

    def zero_grad(self):
        self.grad = None


class Tensor:
    __slots__ = ("grad", "value")

    def __init__(self, value):
        self.value, self.grad = value, np.zeros_like(value)


class ParameterLinear:
    wrapper = Parameter

    def __init__(self, fault=1.0):
        self.weight, self.bias = self.wrapper(normal(3, 2)), self.wrapper(normal(2))
        self.fault = fault

    def forward(self, x):
        self.x = x
        return x @ self.weight.data + self.bias.data

    def backward(self, grad):
        self.weight.grad = self.x.T @ grad * self.fault
        self.bias.grad = grad.sum(axis=0)
        return grad @ self.weight.data.T

    def parameters(self):
        return [self.weight, self.bias]


class SlottedLinear(ParameterLinear):
    wrapper = Tensor

    def zero_grad(self):
        for p in (self.weight, self.bias):
            p.grad[...] = 0

    def forward(self, x):
        self.x = x
        return x @ self.weight.value + self.bias.value

    def backward(self, grad):
        self.weight.grad += self.x.T @ grad * self.fault
        self.bias.grad += grad.sum(axis=0)
        return grad @ self.weight.value.T


class ReturnsAll(Dense):
    def backward(self, dout):
        return dout @ self.W.T, self.X.T @ dout * self.fault, dout.sum(axis=0)


class ReturnsDict(Dense):
    def backward(self, dout):
        return {"dX": dout @ self.W.T, "dW": self.X.T @ dout * self.fault, "db": dout.sum(axis=0)}


class ReturnsPairWithDict(Dense):
    def backward(self, dout):
        return dout @ self.W.T, {"W": self.X.T @ dout * self.fault, "b": dout.sum(axis=0)}


class UpdatesAtOnce:
    """The blog post in which backward takes the learning rate."""

    def __init__(self, fault=1.0):
        self.weights, self.bias, self.fault = normal(2, 3), normal(2, 1), fault

    def forward(self, input):
        self.input = input
        return np.dot(self.weights, self.input) + self.bias

    def backward(self, output_gradient, learning_rate):
        weights_gradient = np.dot(output_gradient, self.input.T)
        input_gradient = np.dot(self.weights.T, output_gradient)
        self.weights -= learning_rate * weights_gradient * self.fault
        self.bias -= learning_rate * output_gradient
        return input_gradient


class UpdatesFirst(UpdatesAtOnce):
    def backward_propagation(self, output_error, learning_rate):
        if self.fault != 1.0:
            self.weights = self.weights - learning_rate * output_error @ self.input.T
            return self.weights.T @ output_error
        back = self.weights.T @ output_error
        self.weights = self.weights - learning_rate * output_error @ self.input.T
        self.bias = self.bias - learning_rate * output_error
        return back

    backward = None


class UpdatesByItself:
    """The learning rate is an attribute of the layer, which is nested."""

    class Inner:
        def __init__(self, fault):
            self.W, self.lr, self.fault = normal(3, 2), 0.01, fault

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, grad):
            back = grad @ self.W.T
            self.W -= self.lr * (self.x.T @ grad) * self.fault
            return back

    def __init__(self, fault=1.0):
        self.inner = self.Inner(fault)

    def forward(self, x):
        return self.inner.forward(np.tanh(x))

    def backward(self, grad):
        return self.inner.backward(grad) * (1 - self.inner.x**2)


def relu(z):
    return np.maximum(z, 0)


def bce(p, y):
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


class MLP:
    """A model that gets the targets in backward."""

    def __init__(self, fault=1.0):
        self.layer1, self.layer2 = Dense(3, 4), Dense(4, 1)
        self.Z1 = self.A2 = None
        self.fault = fault

    def forward(self, X):
        self.Z1 = self.layer1.forward(X)
        self.A2 = 1 / (1 + np.exp(-self.layer2.forward(relu(self.Z1))))
        return self.A2

    def backward(self, Y):
        dZ2 = (self.A2 - Y) / Y.size * self.fault
        self.layer1.backward(self.layer2.backward(dZ2) * (self.Z1 > 0))


class MLPWithLoss(MLP):
    def loss(self, y_pred, y_true):
        return bce(y_pred, y_true)


class MLPLossOfInputs(MLP):
    def loss(self, X, Y):
        return bce(self.forward(X), Y)


class MLPLossSwapped(MLP):
    def compute_loss(self, y_true, y_pred):
        return bce(y_pred, y_true)


class MLPRemembersTargets(MLP):
    def calculate_loss(self, y):
        self.y = y
        return bce(self.A2, y)

    def backward(self):
        MLP.backward(self, self.y)


class ScratchNet:
    """Backward with inputs, targets and output, storing gradients."""

    def __init__(self, fault=1.0):
        self.W1, self.b1 = normal(3, 1), np.zeros((1, 1))
        self.fault = fault

    def forward(self, X):
        return 1 / (1 + np.exp(-(X @ self.W1 + self.b1)))

    def compute_loss(self, y_true, y_pred):
        return bce(y_pred, y_true)

    def backward(self, X, y, output):
        d = (output - y) / len(X)
        self.dW1 = X.T @ d * self.fault
        self.db1 = d.sum(axis=0, keepdims=True)


class Sequential:
    def __init__(self, fault=1.0):
        self.layers = [Dense(3, 4, fault), Tanh(), Dense(4, 2)]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dout):
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        return dout


class SequentialTuple(Sequential):
    def __init__(self, fault=1.0):
        self.layers = (Dense(3, 4, fault), Tanh(), Dense(4, 2))


class SequentialDict(Sequential):
    def __init__(self, fault=1.0):
        self.blocks = {"first": Dense(3, 4, fault), "last": Dense(4, 2)}

    @property
    def layers(self):
        return list(self.blocks.values())


class Tanh:
    def __init__(self, fault=1.0):
        self.fault = fault

    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, dout):
        return dout * (1 - self.out**2) * self.fault


class ReLUx:
    """Backward calls its cotangent x."""

    def __init__(self, fault=1.0):
        self.fault = fault

    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, x):
        return x * self.mask * self.fault


class SigmoidDerivative:
    def __init__(self, fault=1.0):
        self.fault = fault

    def __call__(self, x):
        return 1 / (1 + np.exp(-x))

    def gradient(self, x):
        return self(x) * (1 - self(x)) * self.fault


class TwoLayerNet:
    """Deep learning from scratch: params dict shared with the layers, loss and gradient with targets."""

    def __init__(self, fault=1.0):
        self.params = {"W1": normal(3, 4), "b1": np.zeros(4), "W2": normal(4, 2), "b2": np.zeros(2)}
        self.layers = {"Affine1": NamedAffine(self.params["W1"], self.params["b1"], fault), "Tanh1": Tanh()}
        self.layers["Affine2"] = NamedAffine(self.params["W2"], self.params["b2"])
        self.last = SoftmaxWithLoss()

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.last.forward(self.predict(x), t)

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.last.backward(1)
        for layer in reversed(list(self.layers.values())):
            dout = layer.backward(dout)
        return {
            "W1": self.layers["Affine1"].dW,
            "b1": self.layers["Affine1"].db,
            "W2": self.layers["Affine2"].dW,
            "b2": self.layers["Affine2"].db,
        }


class NamedAffine(Dense):
    def __init__(self, W, b, fault=1.0):
        self.W, self.b, self.fault = W, b, fault


class SoftmaxWithLoss:
    def __init__(self, fault=1.0):
        self.loss = None
        self.fault = fault

    def forward(self, x, t):
        self.t = t
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        self.loss = -np.mean(np.log(self.y[np.arange(len(t)), t]))
        return self.loss

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dx / len(self.t) * self.fault


class MSE:
    def __init__(self, fault=1.0):
        self.fault = fault

    def forward(self, prediction, target):
        self.diff = prediction - target
        return np.mean(self.diff**2)

    def backward(self):
        return 2 * self.diff / self.diff.size * self.fault


class ExplicitLoss:
    """Backward gets both again."""

    def __init__(self, fault=1.0):
        self.fault = fault

    def forward(self, y_pred, y_true):
        return np.mean((y_pred - y_true) ** 2)

    def backward(self, y_pred, y_true):
        return 2 * (y_pred - y_true) / y_pred.size * self.fault


class NnfsLoss:
    """The first argument of backward is the prediction, and forward gives one loss a sample."""

    def __init__(self, fault=1.0):
        self.fault = fault

    def calculate(self, output, y):
        return np.mean(self.forward(output, y))

    def forward(self, y_pred, y_true):
        return np.mean((y_true - y_pred) ** 2, axis=-1)

    def backward(self, dvalues, y_true):
        self.dinputs = -2 * (y_true - dvalues) / len(dvalues[0]) / len(dvalues) * self.fault


class NnfsSoftmaxLoss(NnfsLoss):
    """As before, with an activation in front: dvalues is its output."""

    def forward(self, inputs, y_true):
        e = np.exp(inputs)
        self.output = e / e.sum(axis=1, keepdims=True)
        return -np.mean(np.log(self.output[range(len(inputs)), y_true]))

    calculate = property()

    def backward(self, dvalues, y_true):
        self.dinputs = dvalues.copy()
        self.dinputs[range(len(dvalues)), y_true] -= 1 * self.fault
        self.dinputs /= len(dvalues)


class Cs231nNet:
    def __init__(self, fault=1.0):
        self.params = {"W1": normal(3, 4), "b1": np.zeros(4)}
        self.reg, self.fault = 0.1, fault

    def loss(self, X, y=None):
        scores = X @ self.params["W1"] + self.params["b1"]
        if y is None:
            return scores
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        n = np.arange(len(y))
        loss = -np.log(p[n, y]).mean() + 0.5 * self.reg * np.sum(self.params["W1"] ** 2)
        p[n, y] -= 1
        p /= len(y)
        grads = {"W1": X.T @ p + self.reg * self.params["W1"] * self.fault, "b1": p.sum(0)}
        return loss, grads


class LossAndGradients:
    """One method gives the loss, and leaves the gradients in parameter objects."""

    def __init__(self, fault=1.0):
        self.W, self.fault = Parameter(normal(3, 2)), fault

    def params(self):
        return {"W": self.W}

    def zero_grad(self):
        self.W.grad = None

    def compute_loss_and_gradients(self, X, y):
        e = np.exp(X @ self.W.data)
        p = e / e.sum(1, keepdims=True)
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        p[np.arange(len(y)), y] -= 1
        self.W.grad = X.T @ p / len(y) * self.fault
        return loss


class NumberAsBias:
    """The bias is a bare float, and its gradient is returned behind that of the weights."""

    def __init__(self, fault=1.0):
        self.w, self.b, self.reg, self.fault = normal(3), 0.0, 0.1, fault

    def loss(self, X, y):
        return 0.5 * np.mean((X @ self.w + self.b - y) ** 2) + self.reg

    def gradient(self, X, y):
        r = X @ self.w + self.b - y
        return X.T @ r / len(y), np.mean(r) * self.fault


class PortNetwork:
    """As the corrected ports look."""

    def __init__(self, fault=1.0):
        self.layers = [Dense(3, 4, fault), Dense(4, 1)]

    @property
    def parameters(self):
        return {f"{k}{i}": getattr(layer, k) for i, layer in enumerate(self.layers, 1) for k in ("W", "b")}

    def forward(self, X):
        return self.layers[1].forward(np.tanh(self.layers[0].forward(X)))

    def loss(self, X, Y):
        return 0.5 * np.sum((self.forward(X) - Y) ** 2)

    def gradients(self, X, Y):
        h = np.tanh(self.layers[0].forward(X))
        d = self.layers[1].forward(h) - Y
        self.layers[0].backward(self.layers[1].backward(d) * (1 - h**2))
        return {f"{k}{i}": getattr(layer, f"d{k}") for i, layer in enumerate(self.layers, 1) for k in ("W", "b")}


class BatchNorm:
    def __init__(self, fault=1.0):
        self.gamma, self.beta, self.eps = normal(3), normal(3), 1e-5
        self.running_mean, self.running_var = np.zeros(3), np.ones(3)
        self.training, self.fault = True, fault

    def forward(self, x):
        self.mu, self.var = x.mean(0), x.var(0)
        self.running_mean = 0.9 * self.running_mean + 0.1 * self.mu
        self.running_var *= 0.9
        self.running_var += 0.1 * self.var
        self.xhat = (x - self.mu) / np.sqrt(self.var + self.eps)
        return self.gamma * self.xhat + self.beta

    def backward(self, dout):
        n = len(dout)
        self.dgamma = np.sum(dout * self.xhat, axis=0)
        self.dbeta = dout.sum(axis=0)
        dx = dout * self.gamma
        return (
            (n * dx - dx.sum(0) - self.xhat * (dx * self.xhat).sum(0) * self.fault) / n / np.sqrt(self.var + self.eps)
        )


class Embedding:
    def __init__(self, fault=1.0):
        self.W, self.fault = normal(5, 3), fault

    def forward(self, idx):
        self.idx = idx
        return self.W[idx]

    def backward(self, dout):
        self.dW = np.zeros_like(self.W)
        if self.fault == 1.0:
            np.add.at(self.dW, self.idx, dout)
        else:
            self.dW[self.idx] += dout  # duplicates are lost


class RNNCell:
    def __init__(self, fault=1.0):
        self.Wx, self.Wh, self.b = normal(3, 4), normal(4, 4), np.zeros(4)
        self.fault = fault

    def forward(self, x, h_prev):
        self.x, self.h_prev = x, h_prev
        self.h = np.tanh(x @ self.Wx + h_prev @ self.Wh + self.b)
        return self.h

    def backward(self, dh):
        dz = dh * (1 - self.h**2)
        self.dWx, self.dWh, self.db = self.x.T @ dz, self.h_prev.T @ dz, dz.sum(0)
        return dz @ self.Wx.T, dz @ self.Wh.T * self.fault


class TwoOutputs:
    def __init__(self, fault=1.0):
        self.fault = fault

    def forward(self, h, c):
        self.h, self.c = h, c
        return h * c, np.sin(c)

    def backward(self, dh, dc):
        return dh * self.c, dh * self.h + dc * np.cos(self.c) * self.fault


class TwoOutputsTuple(TwoOutputs):
    def backward(self, grads):
        return TwoOutputs.backward(self, *grads)


class Conv2D:
    def __init__(self, fault=1.0):
        self.W, self.b, self.fault = normal(2, 3, 3, 3), normal(2), fault

    def forward(self, x):
        self.x = x
        n, _, h, w = x.shape
        self.cols = np.stack(
            [x[:, :, i : i + 3, j : j + 3].reshape(n, -1) for i in range(h - 2) for j in range(w - 2)], 1
        )
        self.col_W = self.W.reshape(2, -1).T
        return (self.cols @ self.col_W + self.b).transpose(0, 2, 1).reshape(n, 2, h - 2, w - 2)

    def backward(self, dout):
        n, f, h, w = dout.shape
        d = dout.reshape(n, f, -1).transpose(0, 2, 1)
        self.db = d.sum((0, 1))
        self.dW = np.einsum("npk,npf->fk", self.cols, d).reshape(self.W.shape) * self.fault
        dcols = (d @ self.col_W.T).reshape(n, h, w, 3, 3, 3)
        dx = np.zeros_like(self.x)
        for i in range(h):
            for j in range(w):
                dx[:, :, i : i + 3, j : j + 3] += dcols[:, i, j]
        return dx


class FlatVector:
    """All parameters are views into one vector."""

    def __init__(self, fault=1.0):
        self.theta = np.arange(1.0, 9.0) / 7
        self.dtheta = np.zeros(8)
        self.W, self.b = self.theta[:6].reshape(3, 2), self.theta[6:]
        self.dW, self.db = self.dtheta[:6].reshape(3, 2), self.dtheta[6:]
        self.fault = fault

    def forward(self, x):
        self.x = x
        return x @ self.theta[:6].reshape(3, 2) + self.theta[6:]

    def backward(self, dout):
        self.dtheta[:6] = (self.x.T @ dout).ravel() * self.fault
        self.dtheta[6:] = dout.sum(0)
        return dout @ self.W.T


class Lazy:
    def __init__(self, fault=1.0):
        self.W, self.fault = None, fault

    def forward(self, x):
        if self.W is None:
            self.W = np.random.default_rng(0).normal(size=(x.shape[1], 2))
        self.x = x
        return x @ self.W

    def backward(self, grad):
        self.dW = self.x.T @ grad * self.fault
        return grad @ self.W.T


class LinearRegression:
    """A float as a parameter."""

    def __init__(self, fault=1.0):
        self.w, self.b, self.lr, self.fault = normal(3), 0.0, 0.1, fault

    def forward(self, X):
        self.X = X
        return X @ self.w + self.b

    def backward(self, dout):
        self.dw = self.X.T @ dout
        self.db = dout.sum() * self.fault


class PairGenerator:
    def __init__(self, fault=1.0):
        self.kernel_, self.shift_, self.fault = normal(3, 2), normal(2), fault

    def forward(self, x):
        self.x = x
        return x @ self.kernel_ + self.shift_

    def backward(self, g):
        self.first, self.second = self.x.T @ g * self.fault, g.sum(0)
        return g @ self.kernel_.T

    def params_and_grads(self):
        yield self.kernel_, self.first
        yield self.shift_, self.second


class ListMethods(PairGenerator):
    params_and_grads = None

    def get_params(self):
        return [self.kernel_, self.shift_]

    def get_gradients(self):
        return [self.first, self.second]


class TiedAutoencoder:
    """One matrix in two layers: the gradient is the sum."""

    def __init__(self, fault=1.0):
        self.encoder, self.decoder = Dense(3, 3, fault), Dense(3, 3)
        self.decoder.W = self.encoder.W

    def forward(self, x):
        return self.decoder.forward(np.tanh(self.encoder.forward(x)))

    def backward(self, d):
        h = self.decoder.X
        return self.encoder.backward(self.decoder.backward(d) * (1 - h**2))


class WeightLists:
    def __init__(self, fault=1.0):
        self.weights, self.biases = [normal(3, 4), normal(4, 2)], [np.zeros(4), np.zeros(2)]
        self.fault = fault

    def forward(self, x):
        self.a = [x]
        for W, b in zip(self.weights, self.biases, strict=True):
            self.a.append(np.tanh(self.a[-1] @ W + b))
        return self.a[-1]

    def backward(self, d):
        self.grad_weights, self.grad_biases = [None, None], [None, None]
        for i in (1, 0):
            d = d * (1 - self.a[i + 1] ** 2)
            self.grad_weights[i], self.grad_biases[i] = self.a[i].T @ d * self.fault, d.sum(0)
            d = d @ self.weights[i].T
        return d


class CacheReturned:
    def __init__(self, fault=1.0):
        self.fault = fault

    def forward(self, x):
        return np.sin(x), (x, 1)

    def backward(self, dout, cache):
        return dout * np.cos(cache[0]) * self.fault


class BackwardWithInput:
    def __init__(self, fault=1.0):
        self.fault = fault

    def forward(self, x):
        return x**3

    def backward(self, x, dout):
        return 3 * x**2 * dout * self.fault


class Upper:
    """Names that differ in case only from the convention."""

    def __init__(self, fault=1.0):
        self.W, self.fault = normal(3, 2), fault

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, upstream):
        self.dw = self.x.T @ upstream * self.fault
        return upstream @ self.W.T


class MulLayer:
    def __init__(self, fault=1.0):
        self.fault = fault

    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dout):
        return dout * self.y, dout * self.x * self.fault


TARGETS = {"targets": Y41}
CATALOGUE = [
    (lambda f: Dense(3, 2, f), [X43], {}, ("X", "W", "b")),
    (DenseWeightGrad, [X43], {}, ("inputs", "weight", "bias")),
    (MyTorchLinear, [X43], {}, ("A", "W", "b")),
    (NnfsDense, [X43], {}, ("inputs", "weights", "biases")),
    (Affine, [X43], {}, ("x", "params[0]", "params[1]")),
    (DictLayer, [X43], {}, ("inputs", "w", "b")),
    (GradsByDName, [X43], {}, ("x", "W", "b")),
    (ParameterLinear, [X43], {}, ("x", "weight", "bias")),
    (SlottedLinear, [X43], {}, ("x", "weight", "bias")),
    (lambda f: ReturnsAll(3, 2, f), [X43], {}, ("X", "W", "b")),
    (lambda f: ReturnsDict(3, 2, f), [X43], {}, ("X", "W", "b")),
    (lambda f: ReturnsPairWithDict(3, 2, f), [X43], {}, ("X", "W", "b")),
    (UpdatesAtOnce, [normal(3, 1)], {}, ("input", "weights", "bias")),
    (UpdatesFirst, [normal(3, 1)], {}, ("input", "weights", "bias")),
    (UpdatesByItself, [X43], {}, ("x", "inner.W")),
    (MLP, [X43], {**TARGETS, "loss": bce}, ("layer1.W", "layer1.b", "layer2.W", "layer2.b")),
    (MLPWithLoss, [X43], TARGETS, ("layer1.W", "layer1.b", "layer2.W", "layer2.b")),
    (MLPWithLoss, [X43, Y41], {}, ("layer1.W", "layer1.b", "layer2.W", "layer2.b")),
    (MLPLossOfInputs, [X43], TARGETS, ("layer1.W", "layer1.b", "layer2.W", "layer2.b")),
    (MLPLossOfInputs, [X43, Y41], {}, ("layer1.W", "layer1.b", "layer2.W", "layer2.b")),
    (MLPLossSwapped, [X43, Y41], {}, ("layer1.W", "layer1.b", "layer2.W", "layer2.b")),
    (MLPRemembersTargets, [X43, Y41], {}, ("layer1.W", "layer1.b", "layer2.W", "layer2.b")),
    (ScratchNet, [X43, Y41], {}, ("W1", "b1")),
    (ScratchNet, [X43], {"targets": Y41.astype(float)}, ("W1", "b1")),
    (Sequential, [X43], {}, ("x", "layers[0].W", "layers[0].b", "layers[2].W", "layers[2].b")),
    (SequentialTuple, [X43], {}, ("x", "layers[0].W", "layers[0].b", "layers[2].W", "layers[2].b")),
    (SequentialDict, [X43], {}, ("x", "blocks.first.W", "blocks.first.b", "blocks.last.W", "blocks.last.b")),
    (Tanh, [X43], {}, ("x",)),
    (ReLUx, [X43], {}, ("x",)),
    (SigmoidDerivative, [X43], {}, ("x",)),
    (TwoLayerNet, [X43, LABELS], {}, ("W1", "b1", "W2", "b2")),
    (SoftmaxWithLoss, [X43, LABELS], {}, ("x",)),
    (MSE, [X43, X43 + 1.5], {}, ("prediction",)),
    (ExplicitLoss, [X43, X43 > 0], {}, ("y_pred",)),
    (NnfsLoss, [X43, X43 > 0], {}, ("y_pred",)),
    (NnfsSoftmaxLoss, [X43, LABELS], {}, ("inputs",)),
    (Cs231nNet, [X43, LABELS], {}, ("W1", "b1")),
    (LossAndGradients, [X43, LABELS], {}, ("W",)),
    (NumberAsBias, [X43, LABELS], {}, ("w", "b")),
    (PortNetwork, [X43, Y41], {}, ("W1", "b1", "W2", "b2")),
    (BatchNorm, [X43], {}, ("x", "gamma", "beta")),
    (Embedding, [np.array([0, 2, 2, 4])], {}, ("W",)),
    (RNNCell, [X43, normal(4, 4)], {}, ("x", "h_prev", "Wx", "Wh", "b")),
    (TwoOutputs, [X43, X43 + 1], {}, ("h", "c")),
    (TwoOutputsTuple, [X43, X43 + 1], {}, ("h", "c")),
    (Conv2D, [IMAGES], {}, ("x", "W", "b")),
    (FlatVector, [X43], {}, ("x", "W", "b")),
    (Lazy, [X43], {}, ("x", "W")),
    (LinearRegression, [X43], {}, ("w", "b")),
    (PairGenerator, [X43], {}, ("x", "kernel_", "shift_")),
    (ListMethods, [X43], {}, ("x", "kernel_", "shift_")),
    (TiedAutoencoder, [X43], {}, ("x", "encoder.W", "encoder.b", "decoder.b")),
    (WeightLists, [X43], {}, ("x", "weights[0]", "weights[1]", "biases[0]", "biases[1]")),
    (CacheReturned, [X43], {}, ("x",)),
    (BackwardWithInput, [X43], {}, ("x",)),
    (Upper, [X43], {}, ("x", "W")),
    (MulLayer, [X43, X43 + 2], {}, ("x", "y")),
]
IDS = [f"{i}-{make(1.0).__class__.__name__}" for i, (make, *_) in enumerate(CATALOGUE)]


@pytest.mark.parametrize(("make", "inputs", "options", "wrt"), CATALOGUE, ids=IDS)
def test_right_object_agrees(make, inputs, options, wrt):
    layer = adapt_object(make(1.0), inputs, **options)
    assert set(layer.wrt) == set(wrt)
    assert worst(layer) == {}
    assert worst(layer.fresh()) == {}


@pytest.mark.parametrize(("make", "inputs", "options", "wrt"), CATALOGUE, ids=IDS)
def test_catches_planted_fault(make, inputs, options, wrt):
    assert worst(adapt_object(make(1.5), inputs, **options))
