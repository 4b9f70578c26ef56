// All words of the page, English and Chinese.

const EN = {
  screens: "Screens", points: "Points", digit: "Digit", trace: "Step",
  link: "Copy link", linkTitle: "Copy a link that holds these settings", linkCopied: "Link copied.",
  theme: "Light or dark", language: "中文",
  loading: "Starting…", lost: "The server has ended. Run portanet play again.",
  play: "Play", pause: "Pause", step: "One step", reset: "Start over", preset: "Preset",
  epoch: "Epoch", loss: "Loss", testLoss: "Test loss", accuracy: "Accuracy", testAccuracy: "Test accuracy",
  settings: "Data and training", network: "Network", boundary: "Decision boundary", lossCurve: "Loss by epoch",
  networkLabel: "The network: units with their maps, weights as lines. Arrow keys choose a unit.",
  networkNote: "Lines are weights: blue above 0, orange below, wider is larger. Each square is the output of a unit over the plane. Point at one, or use the arrow keys, to enlarge it; click one to see its code.",
  boundaryLabel: "The plane: colours are the predicted classes, shapes the true ones.",
  boundaryNote: "Filled points are trained on, hollow ones are the test part.",
  unitNote: "Output of this unit over the plane; blue above 0, orange below",
  drawPoints: "Click to set points of this class.", removeAll: "Remove all",
  wayBack: "The way back", layer: "Layer", flow: "‖∂L/∂y‖", norm: "‖∂L/∂w‖", difference: "Central difference",
  wayBackNote: "From the loss back to the input: how large the gradient is that reaches each layer (bar: on a log scale), the norm of the gradient of its weights by the backward pass, and the same number by differences of the loss alone.",
  source: "Source", sourceNote: "Click a layer to read the lines that compute it.",
  output: "Output", input: "Input",
  addLayer: "Add a layer", removeLayer: "Remove the last layer", addUnit: "One unit more in layer", removeUnit: "One unit fewer in layer",
  data: "Data", n: "Points", noise: "Noise", activation: "Activation", bias: "Biases", dropout: "Dropout",
  init: "Initial weights", optimizer: "Optimizer", lr: "Learning rate", batch: "Batch (0: all)", decay: "Weight decay (L2)", seed: "Seed",
  moons: "Two moons", circles: "Circles", spirals: "Spirals", blobs: "Blobs", custom: "Your own points",
  cross_entropy: "Cross-entropy", sum_squared_error: "Squared error (sum)", mean_squared_error: "Squared error (mean)",
  start: "Start", two_moons: "Tutorial: two moons", text_digits: "Tutorial: text digits", mnist_sizes: "Tutorial: MNIST by size",
  mnist_cnn: "Tutorial: MNIST CNN", mnist_csv: "Tutorial: MNIST CSV", vanishing: "Deep sigmoids: vanishing", not_vanishing: "Deep ReLUs: not vanishing",
  own: "Own settings",
  drawHere: "Draw a digit", clear: "Clear", drawLabel: "A sheet to draw a digit on. Arrow keys move the pen, space lowers and lifts it.",
  drawNote: "With mouse, finger or pen; or arrow keys, and space to lower and lift the pen.",
  probabilities: "Probabilities", empty: "Draw something.", isA: "This is a",
  asSeen: "As the network gets it", pixels: "Gradient by pixel",
  pixelsNote: "∂L/∂x for the predicted class: more ink makes the loss grow where it is orange, fall where it is blue.",
  layerPictures: "What each layer makes of it",
  shippedAbout: "parameters, trained on MNIST; accuracy on its 10,000 test images:", runAbout: "parameters, images of",
  traceOf: "One training step on", tracePoint: "a point of the Points screen", traceDigit: "the drawn digit",
  sample: "Sample", class: "Class", previous: "Back", next: "Next",
  forward: "Forward", backward: "Backward", update: "Update", shown: "shown", noDrawing: "Draw a digit on the Digit screen first.",
  footer: "Every number is computed by portanet's hand-written forward and backward passes; nothing leaves this machine.",
};

const ZH = {
  screens: "页面", points: "平面点", digit: "手写数字", trace: "单步",
  link: "复制链接", linkTitle: "复制包含当前设置的链接", linkCopied: "链接已复制。",
  theme: "浅色或深色", language: "English",
  loading: "正在启动…", lost: "服务器已结束。请重新运行 portanet play。",
  play: "训练", pause: "暂停", step: "走一步", reset: "重新开始", preset: "预设",
  epoch: "轮次", loss: "损失", testLoss: "测试损失", accuracy: "准确率", testAccuracy: "测试准确率",
  settings: "数据与训练", network: "网络", boundary: "决策边界", lossCurve: "损失曲线",
  networkLabel: "网络：方块是神经元的输出图，连线是权重。用方向键选择神经元。",
  networkNote: "连线是权重：蓝色为正，橙色为负，越粗越大。每个方块是该神经元在平面上的输出。用鼠标指向或方向键可放大，点击可查看代码。",
  boundaryLabel: "平面：颜色是预测的类别，形状是真实的类别。",
  boundaryNote: "实心点用于训练，空心点用于测试。",
  unitNote: "该神经元在平面上的输出；蓝色为正，橙色为负",
  drawPoints: "点击平面放置该类别的点。", removeAll: "全部删除",
  wayBack: "反向传播", layer: "层", flow: "‖∂L/∂y‖", norm: "‖∂L/∂w‖", difference: "中心差分",
  wayBackNote: "从损失回到输入：到达每层的梯度大小（条形为对数刻度）、反向传播算出的权重梯度范数，以及只用损失之差算出的同一个数。",
  source: "源代码", sourceNote: "点击某一层，查看计算它的代码。",
  output: "输出层", input: "输入",
  addLayer: "增加一层", removeLayer: "删除最后一层", addUnit: "增加一个神经元，层", removeUnit: "减少一个神经元，层",
  data: "数据", n: "点数", noise: "噪声", activation: "激活函数", bias: "偏置", dropout: "Dropout",
  init: "初始权重", optimizer: "优化器", lr: "学习率", batch: "批量大小（0 为全部）", decay: "权重衰减（L2）", seed: "随机种子",
  moons: "双月", circles: "同心圆", spirals: "螺旋", blobs: "团簇", custom: "自己放点",
  cross_entropy: "交叉熵", sum_squared_error: "平方误差（和）", mean_squared_error: "平方误差（均值）",
  start: "起点", two_moons: "教程：双月", text_digits: "教程：文本数字", mnist_sizes: "教程：MNIST 网络大小",
  mnist_cnn: "教程：MNIST 卷积网络", mnist_csv: "教程：MNIST CSV", vanishing: "深层 sigmoid：梯度消失", not_vanishing: "深层 ReLU：梯度不消失",
  own: "自定义",
  drawHere: "写一个数字", clear: "清除", drawLabel: "画板。方向键移动画笔，空格键落笔或抬笔。",
  drawNote: "用鼠标、手指或触控笔；或用方向键移动，空格键落笔和抬笔。",
  probabilities: "概率", empty: "请写一个数字。", isA: "这是",
  asSeen: "网络看到的图像", pixels: "像素梯度",
  pixelsNote: "预测类别的 ∂L/∂x：橙色处加墨会使损失上升，蓝色处会使损失下降。",
  layerPictures: "每一层的输出",
  shippedAbout: "个参数，在 MNIST 上训练；10,000 张测试图像上的准确率：", runAbout: "个参数，图像大小",
  traceOf: "单步训练的样本", tracePoint: "平面点中的一个点", traceDigit: "写下的数字",
  sample: "样本", class: "类别", previous: "上一步", next: "下一步",
  forward: "前向", backward: "反向", update: "更新", shown: "显示", noDrawing: "请先在“手写数字”页写一个数字。",
  footer: "所有数字都由 portanet 手写的前向与反向传播计算；数据不会离开本机。",
};

let words = EN;

export function t(name) {
  return words[name] ?? EN[name] ?? name;
}

export function chinese() {
  return words === ZH;
}

export function setLanguage(zh) {
  words = zh ? ZH : EN;
  document.documentElement.lang = zh ? "zh-CN" : "en";
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = t(one.dataset.text);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", t(one.dataset.label));
  for (const one of document.querySelectorAll("[data-title]")) one.title = t(one.dataset.title);
}
